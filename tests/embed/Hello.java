// SPDX-License-Identifier: Apache-2.0

import dev.tokamak.generate.Session;
import dev.tokamak.generate.SamplerOptions;
import dev.tokamak.model.Model;
import java.nio.file.Path;

public class Hello {
  public static void main(String[] arguments) {
    try (var model = Model.open(Path.of(arguments[0]));
        var session = new Session(model)) {
      session.generate(
          "Once upon a time", SamplerOptions.greedy(), token -> System.out.print(token.text()));
    }
  }
}
