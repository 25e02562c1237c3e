// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.report;

import java.util.List;
import java.util.Locale;

/**
 * Bars of shares from 0 to 1, in groups side by side, as a picture in SVG.
 *
 * @param kinds of bars, at most four; each has a colour
 * @param groups in reading order
 */
public record BarChart(List<String> kinds, List<Group> groups) {
  private static final int WIDTH = 900;
  private static final int COLUMNS = 3;
  private static final int LINE = 17; // height of a bar and its gap
  private static final int LEGEND = 30;
  private static final int VALUE = 40; // width of the number behind a bar
  private static final int GAP = 20;
  private static final double LETTER = 6.3;

  /** The colours of the lines of a {@link ChartPage}, on light and on dark ground. */
  private static final String STYLE =
      """
      .bars { font: 11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
      .bars text { fill: #1b1f27; } .bars .title { font-weight: 600; }
      .bars .track { fill: #667085; fill-opacity: 0.14; }
      .bars .kind0 { fill: #2563eb; } .bars .kind1 { fill: #d9480f; }
      .bars .kind2 { fill: #0b8a5f; } .bars .kind3 { fill: #7c3aed; }
      @media (prefers-color-scheme: dark) {
        .bars text { fill: #e6e9ef; }
        .bars .kind0 { fill: #6ea8fe; } .bars .kind1 { fill: #ff9f5a; }
        .bars .kind2 { fill: #4fd1a1; } .bars .kind3 { fill: #b79cff; }
      }
      """;

  /**
   * A bar.
   *
   * @param share above 1 it is drawn as 1; its number says how much it is
   * @param kind one of the chart's
   */
  public record Bar(String name, double share, String kind) {}

  /** Bars under a title. */
  public record Group(String title, List<Bar> bars) {}

  /** The picture, which may stand in a page or in a file of its own. */
  public String svg() {
    var body = new StringBuilder();
    int x = 0;
    for (int i = 0; i < kinds.size(); i++) {
      rect(body, "kind" + i, x, 4, 10, 10);
      text(body, "", x + 15, 13, kinds.get(i));
      x += (int) (kinds.get(i).length() * LETTER) + 36;
    }
    int label =
        8
            + (int)
                (LETTER
                    * groups.stream()
                        .flatMap(group -> group.bars.stream())
                        .mapToInt(bar -> bar.name.length())
                        .max()
                        .orElse(0));
    int y = LEGEND;
    for (int first = 0; first < groups.size(); first += COLUMNS) {
      List<Group> row = groups.subList(first, Math.min(first + COLUMNS, groups.size()));
      for (int column = 0; column < row.size(); column++) {
        draw(body, row.get(column), column * WIDTH / COLUMNS, y, label);
      }
      y += LINE * (2 + row.stream().mapToInt(group -> group.bars.size()).max().orElse(0));
    }
    return String.format(
            Locale.ROOT,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"bars\" viewBox=\"-8 -4 %d %d\">%n",
            WIDTH + 8,
            y)
        + "<style>\n" + STYLE + "</style>\n" + body + "</svg>\n";
  }

  private void draw(StringBuilder body, Group group, int x, int y, int label) {
    text(body, "title", x, y + 12, group.title);
    int length = WIDTH / COLUMNS - label - VALUE - GAP;
    int top = y + LINE;
    for (Bar bar : group.bars) {
      text(body, "", x, top + 11, bar.name);
      rect(body, "track", x + label, top + 2, length, LINE - 6);
      double filled = length * Math.clamp(bar.share, 0, 1);
      rect(body, "kind" + kinds.indexOf(bar.kind), x + label, top + 2, filled, LINE - 6);
      text(
          body, "", x + label + length + 5, top + 11,
          String.format(Locale.ROOT, "%.0f %%", 100 * bar.share));
      top += LINE;
    }
  }

  private static void rect(
      StringBuilder body, String look, int x, int y, double width, int height) {
    body.append(
        String.format(
            Locale.ROOT,
            "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>%n",
            look, x, y, width, height));
  }

  private static void text(StringBuilder body, String look, int x, int y, String text) {
    body.append(
        String.format(
            Locale.ROOT,
            "<text class=\"%s\" x=\"%d\" y=\"%d\">%s</text>%n",
            look, x, y, ChartPage.escape(text)));
  }
}
