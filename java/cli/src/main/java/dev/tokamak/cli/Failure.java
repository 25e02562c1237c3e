// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import dev.tokamak.backend.BackendException;
import dev.tokamak.generate.PromptException;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.jinja.TemplateException;
import dev.tokamak.train.ConfigException;
import dev.tokamak.train.TrainException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import tools.jackson.core.exc.JacksonIOException;

/** The work cannot be done; the message is the one line that the user reads. */
public final class Failure extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public Failure(String message) {
    super(message);
  }

  public Failure(String message, Throwable cause) {
    super(message, cause);
  }

  /** What went wrong, in one line without control characters. */
  public static String line(Throwable thrown) {
    return Visible.line(message(thrown));
  }

  private static String message(Throwable thrown) {
    return switch (thrown) {
      case Failure e -> e.getMessage();
      case FormatException e -> e.getMessage();
      case TemplateException e -> e.getMessage();
      case BackendException e -> e.getMessage();
      case ConfigException e -> e.getMessage();
      case TrainException e -> e.getMessage();
      case PromptException e -> e.getMessage();
      case UncheckedIOException e -> message(e.getCause());
      case JacksonIOException e -> message(e.getCause());
      case NoSuchFileException e -> e.getFile() + ": no such file";
      case AccessDeniedException e -> e.getFile() + ": permission denied";
      case FileSystemException e when e.getReason() != null ->
          e.getFile() + ": " + e.getReason();
      case FileNotFoundException e -> e.getMessage();
      case CharacterCodingException e -> "not valid UTF-8: " + e.getMessage();
      case IOException e when e.getMessage() != null -> e.getMessage();
      // What the library says of arguments that only the open model can judge.
      case IllegalArgumentException e when e.getMessage() != null -> e.getMessage();
      case OutOfMemoryError e -> "not enough memory: " + e.getMessage();
      case StackOverflowError _ -> "the input is nested too deeply";
      default -> "unexpected " + thrown + "; --debug shows where";
    };
  }
}
