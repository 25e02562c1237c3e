// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import dev.tokamak.backend.QuantType;
import dev.tokamak.model.Model;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;

/**
 * What a generation can be checked against: run again with the same model and settings, it gives
 * the same hash, whatever else was in the batch, with any number of threads and any chunk.
 *
 * @param modelSha256 SHA-256 of the model's file, hexadecimal
 * @param settings everything that the logits and the choice of tokens depend on beside the model
 *     and the prompt
 * @param logitsSha256 SHA-256, hexadecimal, of all logits that were sampled from: a row
 *     [vocabulary] for each token in the order of the sequence, each logit as four bytes of its
 *     float32 bits, the lowest first
 */
public record Receipt(String modelSha256, String settings, String logitsSha256) {

  /** The settings of a generation, in one line. */
  public static String settings(Model model, Capacity capacity, GenerateOptions options) {
    QuantType cacheType = capacity.cacheType();
    StringBuilder text = new StringBuilder("backend=");
    text.append(model.backend().backend().variant());
    model.loraSha256().ifPresent(lora -> text.append(" lora=").append(lora));
    text.append(" kv-type=").append(cacheType.name().toLowerCase(Locale.ROOT));
    text.append(" ctx=").append(capacity.context());
    text.append(' ').append(options.sampler().settings());
    text.append(" max-tokens=").append(options.maxTokens());
    text.append(" ignore-eos=").append(options.ignoreEos());
    for (String stop : options.stop()) {
      text.append(" stop=\"");
      text.append(stop.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n"));
      text.append('"');
    }
    return text.toString();
  }

  /** The hash of rows of logits as they come; made once per generation. */
  static final class LogitsHash {
    private final MessageDigest digest;
    private final byte[] bytes;
    private final FloatBuffer floats;

    LogitsHash(int vocabulary) {
      try {
        digest = MessageDigest.getInstance("SHA-256");
      } catch (NoSuchAlgorithmException e) {
        throw new AssertionError("every Java platform has SHA-256", e);
      }
      bytes = new byte[Math.multiplyExact(vocabulary, Float.BYTES)];
      floats = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
    }

    void add(float[] logits) {
      floats.clear().put(logits);
      digest.update(bytes);
    }

    String hex() {
      return HexFormat.of().formatHex(digest.digest());
    }
  }
}
