// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The files in {@code tests/cases/tokenizer/files}, against what the libraries that made them make
 * of the same texts ({@code make_files.py}), as they are and written as GGUF.
 */
class TokenizerFileTest {
  /**
   * Where Hugging Face's tokenizers differ from the SentencePiece model that the file was made of:
   * a text that begins with its sign for a space, the name of a byte token, and a replacement of
   * two characters.
   */
  private static final List<String> NOT_SENTENCE_PIECES = List.of("▁a▁b", "<0x41>", "XaXXaXXX");

  @TempDir private Path folder;

  @TestFactory
  List<DynamicTest> files() {
    Path files = CaseFile.folder().resolve("files");
    JsonNode golden = new JsonMapper().readTree(files.resolve("golden.json").toFile());
    var tests = new ArrayList<DynamicTest>();
    for (var file : golden.properties()) {
      Tokenizer tokenizer = Tokenizer.open(files.resolve(file.getKey()));
      for (JsonNode test : file.getValue()) {
        if (file.getKey().equals("unigram.json")
            && NOT_SENTENCE_PIECES.contains(test.get("text").asString())) {
          continue;
        }
        String title = file.getKey() + ": " + test.get("text");
        tests.add(DynamicTest.dynamicTest(title, () -> check(tokenizer, file.getKey(), test)));
      }
    }
    assertThat(tests).hasSizeGreaterThan(300);
    return tests;
  }

  private void check(Tokenizer tokenizer, String file, JsonNode test) throws IOException {
    String text = test.get("text").asString();
    int[] ids = ids(test.get("ids"));
    boolean json = file.endsWith(".json"); // SentencePiece finds no control tokens in a text
    Path gguf = folder.resolve("written.gguf");
    tokenizer.save(gguf);
    for (Tokenizer one : List.of(tokenizer, Tokenizer.open(gguf))) {
      assertThat(one.encode(text, false, json)).containsExactly(ids);
      if (json) {
        assertThat(one.encode(text, true, true)).containsExactly(ids(test.get("whole")));
        assertThat(one.decodeWithSpecial(ids)).isEqualTo(test.get("decoded").asString());
      } else {
        assertThat(one.decode(ids)).isEqualTo(test.get("decoded").asString());
      }
    }
  }

  private static int[] ids(JsonNode array) {
    return array.valueStream().mapToInt(JsonNode::asInt).toArray();
  }
}
