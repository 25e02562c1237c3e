// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.format.gguf.GgufWriter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;

/**
 * Text to token ids and back, as the model of a file was trained with. Made from the file's
 * metadata by {@link #of}; immutable, and safe to share between threads.
 *
 * <p>A text may hold any characters; an unpaired surrogate, which UTF-8 cannot spell, counts as
 * U+FFFD. Encoding takes O(n log n) time for n characters, whatever they are.
 */
public abstract sealed class Tokenizer permits Bpe, SentencePiece, Unigram, WordPiece {
  static final String MODEL = "tokenizer.ggml.model";
  private static final String NAME = "general.name";
  private static final int LONGEST_TEXT = 1 << 28;

  /** What {@link #eatsSpace} is about. */
  private static final String SPACE = " \t\n\u000b\f\r";

  /** Tokens of Phi-3 that take no space with them. */
  private static final Set<String> LEAVE_SPACE = Set.of("<unk>", "<s>", "<|endoftext|>");

  private final Metadata metadata;
  final Vocabulary vocabulary;
  private final OptionalInt bos;
  private final OptionalInt eos;
  private final OptionalInt unknown;
  private final boolean addBos;
  private final boolean addEos;
  private final BitSet ends;
  private final SpecialTokens always;
  private final SpecialTokens all;
  private final boolean eatSpace;

  /** Ids and the wish to have them in front, where a file does not say. */
  record Defaults(
      OptionalInt bos, OptionalInt eos, OptionalInt unknown, boolean addBos, boolean addEos) {}

  Tokenizer(Metadata metadata, Defaults defaults) {
    this.metadata = metadata.under("tokenizer.");
    this.vocabulary = Vocabulary.of(metadata);
    this.bos = tokenId(metadata, "bos", vocabulary, defaults.bos);
    this.eos = tokenId(metadata, "eos", vocabulary, defaults.eos);
    this.unknown = tokenId(metadata, "unknown", vocabulary, defaults.unknown);
    this.addBos = adds(metadata, "bos", defaults.addBos, bos);
    this.addEos = adds(metadata, "eos", defaults.addEos, eos);
    this.ends = EndTokens.of(metadata, vocabulary, bos, eos);
    this.always = specials(false);
    this.all = specials(true);
    String name = metadata.string(NAME).orElse("").toLowerCase(Locale.ROOT);
    this.eatSpace = name.contains("phi-3") || name.contains("phi3");
  }

  /**
   * The tokenizer that a file's metadata describes.
   *
   * @throws FormatException if it is of a model that is not supported, or the metadata contradicts
   *     itself
   */
  public static Tokenizer of(Metadata metadata) {
    String model = metadata.requireString(MODEL);
    return switch (model) {
      case "llama" -> new SentencePiece(metadata);
      case "gpt2" -> new Bpe(metadata);
      case "t5" -> new Unigram(metadata);
      case "bert" -> new WordPiece(metadata);
      default ->
          throw Vocabulary.error(
              metadata.source(),
              MODEL,
              "'"
                  + model
                  + "' is not supported; supported: 'llama' (SentencePiece), 'gpt2' (BPE), 't5'"
                  + " (Unigram), 'bert' (WordPiece)");
    };
  }

  /**
   * The tokenizer in a file, whatever its name: a GGUF file, with or without weights; a {@code
   * tokenizer.json}, with the {@code tokenizer_config.json} beside it, if there is one, for what
   * begins and ends a text and for the chat template; a SentencePiece {@code .model}; or a folder
   * with one of the latter two.
   *
   * @throws FormatException if the file is none of these, is not sound, or asks for what is not
   *     supported
   */
  public static Tokenizer open(Path path) {
    return of(TokenizerFile.read(path));
  }

  /**
   * The tokens of a text.
   *
   * @param addSpecial whether BOS goes in front and EOS behind, each if the model wants it ({@link
   *     #addBos}, {@link #addEos})
   * @param parseSpecial whether the texts of control tokens, {@code <|im_end|>} and the like,
   *     become those tokens; if not, they are text like any other. User-defined tokens are always
   *     found
   * @throws IllegalArgumentException if the text is longer than 2^28 characters
   */
  public final int[] encode(String text, boolean addSpecial, boolean parseSpecial) {
    if (text.length() > LONGEST_TEXT) {
      throw new IllegalArgumentException(
          "text of " + text.length() + " characters: at most " + LONGEST_TEXT);
    }
    String clean = paired(text);
    var out = new Ids(clean.length() / 3 + 8);
    if (addSpecial && addBos) {
      out.add(bos.getAsInt());
    }
    SpecialTokens specials = parseSpecial ? all : always;
    Encoder encoder = encoder(clean, out);
    int from = 0;
    while (from < clean.length()) {
      long found = specials.find(clean, from);
      int to = found == SpecialTokens.NONE ? clean.length() : (int) (found >>> 32);
      if (from < to) {
        encoder.encode(from, to);
      }
      from = to;
      if (found != SpecialTokens.NONE) {
        int id = (int) found;
        out.add(id);
        from += vocabulary.text(id).length();
        while (eatsSpace(id) && from < clean.length() && SPACE.indexOf(clean.charAt(from)) >= 0) {
          from++;
        }
      }
    }
    if (addSpecial && addEos) {
      out.add(eos.getAsInt());
    }
    return out.toArray();
  }

  /** Encodes parts of one text, in order, between which special tokens stand. */
  interface Encoder {
    void encode(int from, int to);
  }

  abstract Encoder encoder(String text, Ids out);

  /**
   * The bytes that a token stands for, in general not whole characters; those of a control token
   * are its name.
   *
   * @throws IllegalArgumentException for an id outside the vocabulary
   */
  public final byte[] bytes(int id) {
    return switch (kind(id)) {
      case NORMAL, UNUSED, BYTE -> textBytes(id);
      case CONTROL, UNKNOWN, USER_DEFINED -> vocabulary.utf8(id);
    };
  }

  /** The bytes of a token that stands for text. */
  abstract byte[] textBytes(int id);

  /**
   * A token as the vocabulary writes it: {@code ▁Once}, {@code Ġthe}, {@code <0x0A>}.
   *
   * @throws IllegalArgumentException for an id outside the vocabulary
   */
  public final String piece(int id) {
    check(id);
    return vocabulary.text(id);
  }

  /**
   * The text of tokens from a text's beginning: the space that encoding put in front is left out,
   * control tokens stand for nothing. {@code decode(encode(text))} is the text, unless tokens were
   * found in it that take more or less with them.
   *
   * @throws IllegalArgumentException for an id outside the vocabulary
   */
  public final String decode(int... ids) {
    return text(stream(true), ids);
  }

  /** As {@link #decode(int...)}, with the names of control tokens where they stand. */
  public final String decodeWithSpecial(int... ids) {
    return text(new TokenStream(this, true, true), ids);
  }

  private static String text(TokenStream stream, int[] ids) {
    var out = new StringBuilder();
    for (int id : ids) {
      out.append(stream.accept(id));
    }
    return out.append(stream.finish()).toString();
  }

  /**
   * Text of tokens as they come, whole characters only; control tokens stand for nothing.
   *
   * @param startOfText whether the first token begins a text, so that the space which encoding puts
   *     in front is left out; false for what follows a prompt
   */
  public final TokenStream stream(boolean startOfText) {
    return new TokenStream(this, startOfText, false);
  }

  /** Number of tokens; ids are 0 to this less one. */
  public final int vocabularySize() {
    return vocabulary.size();
  }

  /**
   * What a token is for.
   *
   * @throws IllegalArgumentException for an id outside the vocabulary
   */
  public final TokenKind kind(int id) {
    check(id);
    return vocabulary.kind(id);
  }

  /** The token whose text in the vocabulary is exactly this. */
  public final OptionalInt find(String piece) {
    int id = vocabulary.find(piece);
    return id < 0 ? OptionalInt.empty() : OptionalInt.of(id);
  }

  /** The token that begins a text. */
  public final OptionalInt bos() {
    return bos;
  }

  /** The token that ends a text. */
  public final OptionalInt eos() {
    return eos;
  }

  /** The token for what has none. */
  public final OptionalInt unknown() {
    return unknown;
  }

  /** Whether the model wants BOS in front of a text. */
  public final boolean addBos() {
    return addBos;
  }

  /** Whether the model wants EOS behind a text. */
  public final boolean addEos() {
    return addEos;
  }

  /** Whether a token ends a generation: of text, turn or message. A model may have several. */
  public final boolean isEnd(int id) {
    return id >= 0 && ends.get(id);
  }

  /** The tokens that end a generation, ascending. */
  public final int[] ends() {
    return ends.stream().toArray();
  }

  /**
   * The keys {@code tokenizer.*} that {@link #of} makes the same tokenizer from; what a model's
   * file says of its tokenizer.
   */
  public final Metadata metadata() {
    return metadata;
  }

  /**
   * Writes a GGUF file with the vocabulary only. An existing file is replaced.
   *
   * @throws IOException if it cannot be written
   */
  public final void save(Path path) throws IOException {
    Metadata file = Metadata.of(metadata.source(), Map.of("general.architecture", "llama"));
    new GgufWriter(file.with(metadata)).write(path);
  }

  /** What decoding writes for a control token where it is to be seen. */
  byte[] nameBytes(int id) {
    return vocabulary.utf8(id);
  }

  /** What decoding writes for a token of kind unknown. */
  byte[] unknownBytes() {
    return new byte[0];
  }

  /** Whether encoding puts a space in front, which decoding leaves out. */
  abstract boolean spaceInFront();

  /** Whether encoding leaves out all spaces at the begin of a text, so that decoding does. */
  boolean removesSpaces() {
    return false;
  }

  /** The token at a key, checked against the vocabulary. */
  static OptionalInt tokenId(Metadata metadata, String key, Vocabulary vocabulary) {
    OptionalInt id = metadata.integer32(key);
    if (id.isPresent() && (id.getAsInt() < 0 || id.getAsInt() >= vocabulary.size())) {
      throw Vocabulary.error(
          metadata.source(),
          key,
          "expected a token, 0 to " + (vocabulary.size() - 1) + ", found " + id.getAsInt());
    }
    return id;
  }

  private static OptionalInt tokenId(
      Metadata metadata, String name, Vocabulary vocabulary, OptionalInt standard) {
    OptionalInt given = tokenId(metadata, idKey(name), vocabulary);
    boolean fits = standard.isPresent() && standard.getAsInt() < vocabulary.size();
    return given.isPresent() || !fits ? given : standard;
  }

  private static boolean adds(Metadata metadata, String name, boolean standard, OptionalInt token) {
    String key = addKey(name);
    boolean adds = metadata.bool(key).orElse(standard && token.isPresent());
    if (adds && token.isEmpty()) {
      throw Vocabulary.error(metadata.source(), idKey(name), "missing, though " + key + " is true");
    }
    return adds;
  }

  static String idKey(String name) {
    return "tokenizer.ggml." + name + "_token_id";
  }

  static String addKey(String name) {
    return "tokenizer.ggml.add_" + name + "_token";
  }

  private SpecialTokens specials(boolean control) {
    var texts = new ArrayList<String>();
    for (int id = 0; id < vocabulary.size(); id++) {
      boolean special =
          switch (vocabulary.kind(id)) {
            case USER_DEFINED -> true;
            case CONTROL, UNKNOWN -> control;
            case NORMAL, UNUSED, BYTE -> false;
          };
      if (special && !vocabulary.text(id).isEmpty()) {
        texts.add(vocabulary.text(id));
      }
    }
    return new SpecialTokens(vocabulary, texts.toArray(new String[0]));
  }

  /**
   * Whether a token found in a text takes the white space after it along. Files do not say; Phi-3's
   * do, as llama.cpp knows by the model's name.
   */
  private boolean eatsSpace(int id) {
    return eatSpace && !LEAVE_SPACE.contains(vocabulary.text(id));
  }

  private void check(int id) {
    if (id < 0 || id >= vocabulary.size()) {
      throw new IllegalArgumentException(
          "token " + id + ": outside the vocabulary, 0 to " + (vocabulary.size() - 1));
    }
  }

  /** The text with U+FFFD for each surrogate that has lost its other half. */
  static String paired(String text) {
    StringBuilder fixed = null;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (!Character.isSurrogate(c)) {
        continue;
      }
      if (Character.isHighSurrogate(c)
          && i + 1 < text.length()
          && Character.isLowSurrogate(text.charAt(i + 1))) {
        i++;
        continue;
      }
      if (fixed == null) {
        fixed = new StringBuilder(text);
      }
      fixed.setCharAt(i, '\ufffd');
    }
    return fixed == null ? text : fixed.toString();
  }
}
