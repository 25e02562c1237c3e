// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.testing;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;

/**
 * A small llama with random weights, as a GGUF file (version 3, all F32), written without the code
 * under test: {@value #LAYERS} layers, width {@value #DIM}, {@value #HEADS} heads that share
 * {@value #KV_HEADS}, a context of {@value #CONTEXT}, embeddings that are the output head too. Its
 * {@value #VOCABULARY} tokens are {@code <unk>}, {@code <s>}, {@code </s>}, the 256 bytes, and from
 * 259 on the space and the ASCII characters behind it.
 */
public final class TinyModel {
  public static final int VOCABULARY = 320;
  public static final int CONTEXT = 256;
  public static final int LAYERS = 2;
  public static final int DIM = 32;
  public static final int HEADS = 4;
  public static final int KV_HEADS = 2;
  private static final int HIDDEN = 48;

  private static final int UINT32 = 4;
  private static final int INT32 = 5;
  private static final int FLOAT32 = 6;
  private static final int STRING = 8;
  private static final int ARRAY = 9;
  private static final int ALIGNMENT = 32;

  private record Weights(String name, int[] shape, float[] values) {}

  private final int context;
  private final int layers;
  private final int dim;
  private final int hidden;
  private final SplittableRandom random;
  private final Optional<String> template;
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private final DataOutputStream out = new DataOutputStream(bytes);
  private final List<Weights> tensors = new ArrayList<>();

  private TinyModel(
      int context, int layers, int dim, int hidden, long seed, Optional<String> template) {
    this.context = context;
    this.layers = layers;
    this.dim = dim;
    this.hidden = hidden;
    random = new SplittableRandom(seed);
    this.template = template;
  }

  /** Writes the model; the last four bytes are the last weight of {@code output_norm.weight}. */
  public static Path write(Path file, long seed) throws IOException {
    return write(file, tiny(seed, Optional.empty()));
  }

  /** As above, with a chat template. */
  public static Path write(Path file, long seed, String template) throws IOException {
    return write(file, tiny(seed, Optional.of(template)));
  }

  /** Larger: of eight layers of width 256 with a context of 1024, which take their time to fill. */
  public static Path writeSlow(Path file, long seed) throws IOException {
    return write(file, new TinyModel(1024, 8, 256, 1024, seed, Optional.empty()));
  }

  private static TinyModel tiny(long seed, Optional<String> template) {
    return new TinyModel(CONTEXT, LAYERS, DIM, HIDDEN, seed, template);
  }

  private static Path write(Path file, TinyModel model) throws IOException {
    model.weights();
    model.header();
    model.data();
    return Files.write(file, model.bytes.toByteArray());
  }

  private void weights() {
    int kvDim = dim / HEADS * KV_HEADS;
    add("token_embd.weight", 0.5, dim, VOCABULARY);
    for (int layer = 0; layer < layers; layer++) {
      String block = "blk." + layer + ".";
      add(block + "attn_norm.weight", 0, dim);
      add(block + "attn_q.weight", 0.3, dim, dim);
      add(block + "attn_k.weight", 0.3, dim, kvDim);
      add(block + "attn_v.weight", 0.3, dim, kvDim);
      add(block + "attn_output.weight", 0.3, dim, dim);
      add(block + "ffn_norm.weight", 0, dim);
      add(block + "ffn_gate.weight", 0.3, dim, hidden);
      add(block + "ffn_up.weight", 0.3, dim, hidden);
      add(block + "ffn_down.weight", 0.3, hidden, dim);
    }
    add("output_norm.weight", 0, dim);
  }

  /** Weights around 0 with this deviation; around 1, a little, for a norm. */
  private void add(String name, double deviation, int... shape) {
    int size = 1;
    for (int length : shape) {
      size *= length;
    }
    float[] values = new float[size];
    for (int i = 0; i < size; i++) {
      double normal = random.nextGaussian();
      values[i] = (float) (deviation == 0 ? 1 + 0.1 * normal : deviation * normal);
    }
    tensors.add(new Weights(name, shape, values));
  }

  private void header() throws IOException {
    out.writeBytes("GGUF");
    int32(3);
    int64(tensors.size());
    int64(template.isPresent() ? 14 : 13);
    stringKey("general.architecture", "llama");
    intKey("llama.context_length", context);
    intKey("llama.block_count", layers);
    intKey("llama.embedding_length", dim);
    intKey("llama.feed_forward_length", hidden);
    intKey("llama.attention.head_count", HEADS);
    intKey("llama.attention.head_count_kv", KV_HEADS);
    key("llama.attention.layer_norm_rms_epsilon", FLOAT32);
    int32(Float.floatToIntBits(1e-5f));
    if (template.isPresent()) {
      stringKey("tokenizer.chat_template", template.get());
    }
    stringKey("tokenizer.ggml.model", "llama");
    intKey("tokenizer.ggml.bos_token_id", 1);
    arrayKey("tokenizer.ggml.tokens", STRING);
    for (int id = 0; id < VOCABULARY; id++) {
      string(piece(id));
    }
    arrayKey("tokenizer.ggml.scores", FLOAT32);
    for (int id = 0; id < VOCABULARY; id++) {
      int32(Float.floatToIntBits(-id));
    }
    arrayKey("tokenizer.ggml.token_type", INT32);
    for (int id = 0; id < VOCABULARY; id++) {
      int32(id == 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1);
    }
    long offset = 0;
    for (Weights tensor : tensors) {
      string(tensor.name);
      int32(tensor.shape.length);
      for (int length : tensor.shape) {
        int64(length);
      }
      int32(0);
      int64(offset);
      offset += padded(tensor.values.length * 4L);
    }
  }

  private static String piece(int id) {
    return switch (id) {
      case 0 -> "<unk>";
      case 1 -> "<s>";
      case 2 -> "</s>";
      case 259 -> "▁";
      default ->
          id < 259 ? String.format("<0x%02X>", id - 3) : String.valueOf((char) (id - 259 + ' '));
    };
  }

  private void data() throws IOException {
    for (Weights tensor : tensors) {
      while (bytes.size() % ALIGNMENT != 0) {
        out.writeByte(0);
      }
      for (float value : tensor.values) {
        int32(Float.floatToIntBits(value));
      }
    }
  }

  private static long padded(long size) {
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  private void key(String name, int type) throws IOException {
    string(name);
    int32(type);
  }

  private void stringKey(String name, String value) throws IOException {
    key(name, STRING);
    string(value);
  }

  private void intKey(String name, int value) throws IOException {
    key(name, UINT32);
    int32(value);
  }

  private void arrayKey(String name, int type) throws IOException {
    key(name, ARRAY);
    int32(type);
    int64(VOCABULARY);
  }

  private void string(String value) throws IOException {
    byte[] utf8 = value.getBytes(StandardCharsets.UTF_8);
    int64(utf8.length);
    out.write(utf8);
  }

  private void int32(int value) throws IOException {
    out.writeInt(Integer.reverseBytes(value));
  }

  private void int64(long value) throws IOException {
    out.writeLong(Long.reverseBytes(value));
  }
}
