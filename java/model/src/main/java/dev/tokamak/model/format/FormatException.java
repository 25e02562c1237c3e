// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format;

/**
 * A file is not what its format says, or cannot be read at all. The message is one line that names
 * the file, the place in it, and what would be right: {@code a.gguf: tensor blk.3.attn_k.weight:
 * …}.
 */
public final class FormatException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Names and values that a message quotes come from the file, and may be of any length. */
  private static final int MOST_LETTERS = 2000;

  public FormatException(String message) {
    super(message);
  }

  public FormatException(String message, Throwable cause) {
    super(message, cause);
  }

  /**
   * @param file the file's name
   * @param place key, tensor or field at fault
   * @param problem what is wrong, expected and actual
   */
  public static FormatException at(String file, String place, String problem) {
    return new FormatException(file + ": " + readable(place) + ": " + readable(problem));
  }

  private static String readable(String text) {
    String line = text.replaceAll("\\p{Cntrl}", "\uFFFD");
    return line.length() <= MOST_LETTERS ? line : line.substring(0, MOST_LETTERS) + "…";
  }
}
