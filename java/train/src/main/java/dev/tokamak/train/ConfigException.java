// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

/**
 * A training configuration is wrong. The message is one line: {@code train.yaml: batch.tokens: found
 * 0, expected a whole number from 1 to 1048576}.
 */
public final class ConfigException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String source;
  private final String path;
  private final String problem;

  /**
   * @param source the configuration's name, a file as a rule
   * @param path of the key at fault, or empty for the whole
   * @param problem found and expected
   */
  public ConfigException(String source, String path, String problem) {
    super(source + ": " + (path.isEmpty() ? "" : path + ": ") + problem);
    this.source = source;
    this.path = path;
    this.problem = problem;
  }

  /** The key at fault, {@code optimizer.lr}, or empty. */
  public String path() {
    return path;
  }

  /** The same with the line of the source where the key stands. */
  public ConfigException atLine(int line) {
    return new ConfigException(source + ": line " + line, path, problem);
  }
}
