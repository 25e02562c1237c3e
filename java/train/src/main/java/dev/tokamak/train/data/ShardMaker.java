// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.model.tokenizer.Tokenizer;
import dev.tokamak.train.Stage;
import dev.tokamak.train.TrainListener;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HexFormat;
import java.util.List;
import java.util.OptionalInt;

/**
 * Makes the token shards of files, each once: its name and header tell what it was made from, the
 * file's path, size and time among it.
 */
final class ShardMaker {
  private static final int NAME_BYTES = 8;

  private final Path folder;
  private final Stage stage;
  private final Tokenizer tokenizer;
  private final ChatFormat format;
  private final int longest; // tokens of a conversation
  private final TrainListener listener;
  private final byte[] identity;

  /**
   * @param folder where shards are kept
   * @param format of conversations
   * @param tokens of a sequence that are learned from, at most
   * @param listener may end it
   */
  ShardMaker(
      Path folder,
      Stage stage,
      Tokenizer tokenizer,
      ChatFormat format,
      int tokens,
      TrainListener listener) {
    this.folder = folder;
    this.stage = stage;
    this.tokenizer = tokenizer;
    this.format = format;
    this.longest = tokens + 1;
    this.listener = listener;
    MessageDigest hash = sha256();
    text(hash, stage.word());
    for (int id = 0; id < tokenizer.vocabularySize(); id++) {
      text(hash, tokenizer.kind(id) + tokenizer.piece(id));
    }
    text(hash, tokenizer.metadata().string("tokenizer.ggml.pre").orElse(""));
    for (String merge : tokenizer.metadata().strings("tokenizer.ggml.merges").orElse(List.of())) {
      text(hash, merge);
    }
    tokenizer
        .metadata()
        .floats("tokenizer.ggml.scores")
        .ifPresent(scores -> text(hash, Arrays.toString(scores)));
    text(hash, tokenizer.addBos() + " " + tokenizer.bos() + " " + tokenizer.eos());
    if (stage != Stage.PRETRAIN) {
      text(hash, format.template() + tokens);
    }
    identity = hash.digest();
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java has it
    }
  }

  private static void text(MessageDigest hash, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    hash.update(ByteBuffer.allocate(Integer.BYTES).putInt(bytes.length).flip());
    hash.update(bytes);
  }

  /** What is learned from of a file, and what is held out of it. */
  record Pair(TokenShard kept, TokenShard heldOut) {}

  /** The shards of a file, made if they are not there. */
  Pair shards(Path file, Split heldOut) {
    String name = name(file, heldOut);
    long key = HexFormat.fromHexDigitsToLong(name);
    Path kept = folder.resolve(name + ".shard");
    Path held = folder.resolve(name + ".held-out.shard");
    if (!TokenShard.stands(kept, key) || !TokenShard.stands(held, key)) {
      boolean marked = stage != Stage.PRETRAIN;
      int vocabulary = tokenizer.vocabularySize();
      try (var first = new ShardWriter(kept, vocabulary, marked, key);
          var second = new ShardWriter(held, vocabulary, marked, key)) {
        write(
            file,
            index -> {
              listener.goOn();
              return heldOut.holds(index) ? second : first;
            });
        second.finish();
        first.finish();
      }
    }
    return new Pair(
        TokenShard.open(kept, tokenizer.vocabularySize()), TokenShard.open(held, tokenizer.vocabularySize()));
  }

  private String name(Path file, Split heldOut) {
    MessageDigest hash = sha256();
    hash.update(identity);
    try {
      text(hash, file.toAbsolutePath().normalize().toString());
      if (Files.exists(file)) { // if not, reading it says so
        text(hash, Files.size(file) + " " + Files.getLastModifiedTime(file));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    text(hash, heldOut.toString());
    return HexFormat.of().formatHex(hash.digest(), 0, NAME_BYTES);
  }

  /** Where a document, conversation or pair goes. */
  private interface Target {
    ShardWriter of(long index);
  }

  private void write(Path file, Target target) {
    switch (stage) {
      case PRETRAIN -> writeDocuments(file, target);
      case SFT, GRPO -> writeConversations(file, target);
      case DPO -> writePairs(file, target);
    }
  }

  private void writeDocuments(Path file, Target target) {
    OptionalInt bos = tokenizer.addBos() ? tokenizer.bos() : OptionalInt.empty();
    Documents.read(
        file,
        new Documents.Sink() {
          private long index;
          private boolean begun;

          @Override
          public void piece(String text, boolean last) {
            ShardWriter to = target.of(index);
            if (!begun) {
              bos.ifPresent(to::add);
            }
            to.add(tokenizer.encode(text, false, false));
            to.text(text.getBytes(StandardCharsets.UTF_8).length);
            begun = !last;
            if (last) {
              tokenizer.eos().ifPresent(to::add);
              to.end();
              index++;
            }
          }
        });
  }

  private void writeConversations(Path file, Target target) {
    var encoder = new ChatEncoder(tokenizer, format);
    long index = 0;
    try (var lines = new TextLines(file)) {
      for (var line = lines.next(); line.isPresent(); line = lines.next()) {
        var conversation = Conversation.of(JsonObject.parse(lines.place(), line.get()));
        ShardWriter to = target.of(index++);
        for (ChatEncoder.Marked sequence : encoder.encode(conversation)) {
          if (fits(sequence, to)) {
            write(sequence, to);
          } else {
            to.leftOut();
          }
        }
      }
    }
  }

  private void writePairs(Path file, Target target) {
    var encoder = new ChatEncoder(tokenizer, format);
    long index = 0;
    try (var lines = new TextLines(file)) {
      for (var line = lines.next(); line.isPresent(); line = lines.next()) {
        PreferencePair pair = PreferencePair.of(JsonObject.parse(lines.place(), line.get()));
        ShardWriter to = target.of(index++);
        ChatEncoder.Marked chosen = encoder.encode(pair.chosen()).getLast();
        ChatEncoder.Marked rejected = encoder.encode(pair.rejected()).getLast();
        if (!pair.isTie() && fits(chosen, to) & fits(rejected, to)) {
          write(chosen, to);
          write(rejected, to);
        } else {
          to.leftOut();
        }
      }
    }
  }

  /** Counts a sequence that is too long; whether something to learn is left where it is cut. */
  private boolean fits(ChatEncoder.Marked sequence, ShardWriter to) {
    int first = sequence.marks().nextSetBit(0);
    if (first < 0 || first >= longest) {
      return false;
    }
    if (sequence.tokens().length > longest) {
      to.cut();
    }
    return true;
  }

  private void write(ChatEncoder.Marked sequence, ShardWriter to) {
    int length = Math.min(longest, sequence.tokens().length);
    BitSet marks = sequence.marks().get(0, length);
    to.add(Arrays.copyOf(sequence.tokens(), length), marks);
    to.end();
  }
}
