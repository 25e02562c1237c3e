// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import dev.tokamak.cli.StandardOutput;
import dev.tokamak.cli.Visible;
import dev.tokamak.generate.Event;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Help.Ansi.IStyle;

/**
 * Text whose tokens show how likely they were: by colour, or where there is none by a percentage
 * behind each.
 */
final class ProbabilityText {
  /**
   * From here up to the band before.
   *
   * @param colour picocli's for a colour of the 6 × 6 × 6 cube
   */
  private record Band(double from, String label, String colour) {
    String paint(String text) {
      IStyle[] styles = Ansi.Style.parse(colour);
      return Ansi.Style.on(styles) + text + Ansi.Style.off(styles);
    }
  }

  private static final Band[] BANDS = {
    new Band(0.9, "90 % and more", "fg(0;5;1)"),
    new Band(0.6, "60", "fg(3;5;1)"),
    new Band(0.3, "30", "fg(5;5;1)"),
    new Band(0.1, "10", "fg(5;3;0)"),
    new Band(0, "less", "fg(5;1;1)"),
  };

  private final Console console;

  ProbabilityText(Console console) {
    this.console = console;
  }

  /** Says on standard error what will be seen. */
  void legend() {
    if (!console.colour()) {
      console.err().println("behind each token its probability in percent");
      return;
    }
    var line = new StringBuilder("probability:");
    for (Band band : BANDS) {
      line.append(' ').append(band.paint(band.label));
    }
    console.err().println(line);
  }

  void print(Event.Token token) {
    double probability = token.logprobs().orElseThrow().chosen().probability();
    String text = Visible.plain(token.text());
    StandardOutput out = console.out();
    if (!console.colour()) {
      out.print(text + "[" + Math.round(100 * probability) + "]");
    } else if (!text.isEmpty()) {
      Band band = BANDS[BANDS.length - 1];
      for (int i = BANDS.length - 2; i >= 0 && probability >= BANDS[i].from; i--) {
        band = BANDS[i];
      }
      out.print(band.paint(text));
    }
    out.show();
  }
}
