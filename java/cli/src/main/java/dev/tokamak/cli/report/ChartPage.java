// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.report;

import dev.tokamak.cli.Json;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JsonGenerator;

/**
 * A page of figures, charts and texts in one HTML file that needs nothing else: no network, no
 * fonts. Charts are drawn by uPlot, which is in it.
 */
public final class ChartPage {
  private static final String UPLOT = "META-INF/resources/webjars/uplot/1.6.30/dist/";

  private final String title;
  private final String lead;
  private final StringBuilder body = new StringBuilder();
  private final List<Chart> charts = new ArrayList<>();

  /**
   * A line of a chart.
   *
   * @param x ascending
   * @param y as many; what is not finite is a gap
   * @param look how it is drawn
   */
  public record Line(String name, double[] x, double[] y, Look look) {}

  /** How a line is drawn. */
  public enum Look {
    LINE,
    /** Thin and pale: what a smooth line is made from. */
    FAINT,
    /** A dot at each value, and a line between. */
    DOTS
  }

  /**
   * A chart.
   *
   * @param x what the horizontal axis counts
   * @param logarithmic whether the vertical axis is; values must be above 0 then
   */
  public record Chart(String title, String x, boolean logarithmic, List<Line> lines) {}

  /**
   * A text as it changed.
   *
   * @param labels of the versions, in order
   * @param texts as many
   */
  public record Versions(String heading, List<String> labels, List<String> texts) {}

  /**
   * A page without anything yet.
   *
   * @param lead a line below the title
   */
  public ChartPage(String title, String lead) {
    this.title = title;
    this.lead = lead;
  }

  /** Adds figures, each with its name. */
  public ChartPage figures(Map<String, String> figures) {
    body.append("<dl class=\"figures\">\n");
    figures.forEach(
        (name, value) ->
            body.append("<div><dt>").append(escape(name)).append("</dt><dd>")
                .append(escape(value)).append("</dd></div>\n"));
    body.append("</dl>\n");
    return this;
  }

  /** Adds charts, side by side where there is room. */
  public ChartPage charts(List<Chart> some) {
    body.append("<div class=\"charts\">\n");
    for (Chart chart : some) {
      body.append("<figure><figcaption>").append(escape(chart.title))
          .append("</figcaption><div class=\"chart\" data-chart=\"").append(charts.size())
          .append("\"></div></figure>\n");
      charts.add(chart);
    }
    body.append("</div>\n");
    return this;
  }

  /** Adds a picture of bars. */
  public ChartPage bars(BarChart chart) {
    body.append("<figure class=\"wide\">\n").append(chart.svg()).append("</figure>\n");
    return this;
  }

  /** Adds a heading. */
  public ChartPage heading(String heading) {
    body.append("<h2>").append(escape(heading)).append("</h2>\n");
    return this;
  }

  /** Adds a text in its versions, the last one shown; a slider shows the others. */
  public ChartPage versions(Versions versions) {
    int last = versions.texts.size() - 1;
    body.append("<section class=\"versions\"><h3>").append(escape(versions.heading))
        .append("</h3>\n<label><input type=\"range\" min=\"0\" max=\"").append(last)
        .append("\" value=\"").append(last).append("\"> <output></output></label>\n");
    for (int i = 0; i <= last; i++) {
      body.append("<blockquote data-label=\"").append(escape(versions.labels.get(i)))
          .append(i == last ? "\">" : "\" hidden>").append(escape(versions.texts.get(i)))
          .append("</blockquote>\n");
    }
    body.append("</section>\n");
    return this;
  }

  /** Adds a table. */
  public ChartPage table(List<String> columns, List<List<String>> rows) {
    body.append("<div class=\"wide\"><table><thead><tr>");
    columns.forEach(name -> body.append("<th>").append(escape(name)).append("</th>"));
    body.append("</tr></thead><tbody>\n");
    for (List<String> row : rows) {
      body.append("<tr>");
      row.forEach(cell -> body.append("<td>").append(escape(cell)).append("</td>"));
      body.append("</tr>\n");
    }
    body.append("</tbody></table></div>\n");
    return this;
  }

  /** Adds a text as it stands, such as a configuration. */
  public ChartPage source(String text) {
    body.append("<pre>").append(escape(text)).append("</pre>\n");
    return this;
  }

  /** The page. */
  public String html() {
    return own("page.html")
        .replace("@TITLE@", escape(title))
        .replace("@LEAD@", escape(lead))
        .replace("@STYLE@", uplot("uPlot.min.css") + own("page.css"))
        .replace("@SCRIPT@", uplot("uPlot.iife.min.js") + own("page.js"))
        .replace("@DATA@", data())
        .replace("@BODY@", body);
  }

  private String data() {
    var out = new ByteArrayOutputStream();
    Json.line(
        out,
        json -> {
          json.writeName("charts");
          json.writeStartArray();
          charts.forEach(chart -> write(json, chart));
          json.writeEndArray();
        });
    // Nothing in it may end the element that it stands in.
    return out.toString(StandardCharsets.UTF_8).replace("<", "\\u003c");
  }

  private static void write(JsonGenerator json, Chart chart) {
    json.writeStartObject();
    json.writeStringProperty("x", chart.x);
    json.writeBooleanProperty("log", chart.logarithmic);
    json.writeName("lines");
    json.writeStartArray();
    for (Line line : chart.lines) {
      json.writeStartObject();
      json.writeStringProperty("name", line.name);
      json.writeStringProperty("look", line.look.name());
      json.writeName("x");
      numbers(json, line.x);
      json.writeName("y");
      numbers(json, line.y);
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  private static void numbers(JsonGenerator json, double[] values) {
    json.writeStartArray();
    for (double value : values) {
      if (!Double.isFinite(value)) {
        json.writeNull();
      } else if (value == Math.rint(value) && Math.abs(value) < 1e15) {
        json.writeNumber((long) value);
      } else {
        json.writeNumber((float) value); // as many digits as can be seen
      }
    }
    json.writeEndArray();
  }

  /** What lies beside this class, which only its module finds. */
  private static String own(String name) {
    return text(name, ChartPage.class.getResourceAsStream(name));
  }

  private static String uplot(String name) {
    return text(name, ChartPage.class.getClassLoader().getResourceAsStream(UPLOT + name));
  }

  private static String text(String name, InputStream resource) {
    try (InputStream in = resource) {
      if (in == null) {
        throw new IOException("missing in this installation: " + name);
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static String escape(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;");
  }
}
