// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.model.format.FormatException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Documents come as they stand in files; files that are none are refused. */
class DocumentsTest {
  @TempDir private Path folder;

  private static List<String> read(Path file) {
    var documents = new ArrayList<String>();
    var text = new StringBuilder();
    Documents.read(
        file,
        (piece, last) -> {
          assertThat(piece.length()).isLessThanOrEqualTo(Documents.LONGEST_PIECE);
          text.append(piece);
          if (last) {
            documents.add(text.toString());
            text.setLength(0);
          }
        });
    assertThat(text).isEmpty();
    return documents;
  }

  private Path file(String name, byte[] content) throws IOException {
    return Files.write(folder.resolve(name), content);
  }

  private Path file(String name, String content) throws IOException {
    return file(name, content.getBytes(StandardCharsets.UTF_8));
  }

  private static byte[] gzip(byte[] content) throws IOException {
    var out = new ByteArrayOutputStream();
    try (var gzip = new GZIPOutputStream(out)) {
      gzip.write(content);
    }
    return out.toByteArray();
  }

  private void refuses(Path file, String message) {
    assertThatThrownBy(() -> read(file))
        .isInstanceOf(FormatException.class)
        .hasMessage(file + ": " + message);
  }

  @Test
  void aTextFilesDocumentsArePartedByTheSeparator() throws IOException {
    String text = "\ufeffOne\n\n two.\n<|endoftext|>\nThree<|endoftext|> \n <|endoftext|>日本 🎈\n";
    List<String> expected = List.of("One\n\n two.", "Three", "日本 🎈");
    assertThat(read(file("a.txt", text))).isEqualTo(expected);
    assertThat(read(file("a.txt.gz", gzip(text.getBytes(StandardCharsets.UTF_8)))))
        .isEqualTo(expected);
  }

  @Test
  void jsonLinesHaveTexts() throws IOException {
    String text = "{\"text\": \" a\\nb \", \"n\": [1.5, null, {}]}\r\n\n{\"text\":\"<|endoftext|>\"}";
    List<String> expected = List.of("a\nb", "<|endoftext|>");
    assertThat(read(file("a.jsonl", text))).isEqualTo(expected);
    assertThat(read(file("a.jsonl.gz", gzip(text.getBytes(StandardCharsets.UTF_8)))))
        .isEqualTo(expected);
  }

  /** Separators and characters of several bytes lie across the reader's buffers. */
  @Test
  void whereBuffersEndMakesNoDifference() throws IOException {
    var text = new StringBuilder();
    var expected = new ArrayList<String>();
    for (int i = 0; i < 9_000; i++) {
      String document = "é".repeat(i % 13 + 1) + i + "🎈".repeat(i % 3);
      text.append(document).append("<|endoftext|>");
      expected.add(document);
    }
    assertThat(read(file("a.txt", text.toString()))).isEqualTo(expected);
  }

  @Test
  void aDocumentOfAnyLengthComesInPieces() throws IOException {
    String words = "word ".repeat(500_000).strip();
    String line = "x".repeat(2_500_000);
    String pairs = "a" + "🎈".repeat(1_200_000);
    String text = " \n" + words + "\n<|endoftext|>\n" + line + "<|endoftext|>" + pairs;
    assertThat(read(file("a.txt", text)).equals(List.of(words, line, pairs))).isTrue();
  }

  @Test
  void aJsonLineOfAnyLengthIsNot() throws IOException {
    String text = "{\"text\": \"a\"}\n{\"text\": \"" + "x".repeat(TextLines.LONGEST) + "\"}";
    refuses(
        file("a.jsonl", text),
        "line 2: longer than 16777216 characters: JSON lines need a line feed behind each object");
  }

  @Test
  void aFileWithoutTextIsRefused() throws IOException {
    refuses(folder.resolve("none.txt"), "no such file");
    refuses(folder, "is a folder, expected a file");
    refuses(Path.of("/"), "is a folder, expected a file");
    refuses(Path.of("/dev/null"), "is no regular file, expected one");
    refuses(file("a.txt", ""), "the file is empty, expected text");
    refuses(file("a.jsonl.gz", ""), "the file is empty, expected text");
    refuses(file("b.txt", " \n<|endoftext|>\n"), "no text: only blanks and separators");
    refuses(file("b.jsonl", "\n \n"), "no text: only blanks and separators");
    refuses(file("c.txt.gz", gzip(new byte[0])), "no text: only blanks and separators");
  }

  @Test
  void theByteThatIsNotUtf8IsNamed() throws IOException {
    byte[] text = "één\n\nab\nc?\n".getBytes(StandardCharsets.UTF_8);
    text[text.length - 2] = (byte) 0xff;
    refuses(file("a.txt", text), "line 4: not UTF-8: byte 0xff at offset 11");
    refuses(
        file("a.txt.gz", gzip(text)),
        "line 4: not UTF-8: byte 0xff at offset 11 of the unpacked text");
    byte[] cut = "ab\né".getBytes(StandardCharsets.UTF_8);
    refuses(
        file("b.txt", Arrays.copyOf(cut, cut.length - 1)),
        "line 2: not UTF-8: byte 0xc3 at offset 3");
    byte[] late = "abcdefg\n".repeat(100_000).getBytes(StandardCharsets.UTF_8);
    late[late.length - 3] = (byte) 0xc0;
    refuses(file("c.txt", late), "line 100000: not UTF-8: byte 0xc0 at offset 799997");
    byte[] surrogate = {'{', (byte) 0xed, (byte) 0xa0, (byte) 0x80, '}'};
    refuses(file("d.jsonl", surrogate), "line 1: not UTF-8: byte 0xed at offset 1");
  }

  @Test
  void damagedGzipIsRefused() throws IOException {
    byte[] whole = gzip("some text\n".repeat(10_000).getBytes(StandardCharsets.UTF_8));
    Path cut = file("a.txt.gz", Arrays.copyOf(whole, whole.length / 2));
    assertThatThrownBy(() -> read(cut))
        .isInstanceOf(FormatException.class)
        .hasMessageStartingWith(cut + ": the gzip data breaks off or is damaged: ");
    Path plain = file("b.txt.gz", "plain text");
    assertThatThrownBy(() -> read(plain))
        .isInstanceOf(FormatException.class)
        .hasMessageStartingWith(plain + ": not gzip, though named so: ");
  }
}
