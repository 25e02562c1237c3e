// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import static dev.tokamak.model.jinja.SequenceFilters.best;

import java.util.Map;

/** All filters. */
final class Filters {
  static final Map<String, Function> TABLE =
      new Function.Table()
          // any value
          .add("default d", "default_value? boolean?", TextFilters::standard)
          .add("string", "", (in, v, a) -> in.values.str(v))
          .add("pprint", "", (in, v, a) -> in.values.repr(v))
          .add("tojson", "ensure_ascii? indent? separators? sort_keys?", JsonText::filter)
          .add("attr", "name", SequenceFilters::attr)
          .add("length count", "", (in, v, a) -> Values.length(v))
          // numbers
          .add("abs", "", NumberFilters::abs)
          .add("int", "default? base?", NumberFilters::integer)
          .add("float", "default?", NumberFilters::real)
          .add("round", "precision? method?", NumberFilters::round)
          .add("filesizeformat", "binary?", NumberFilters::fileSize)
          // texts
          .add("upper", "", (in, v, a) -> Text.upper(in.values.str(v)))
          .add("lower", "", (in, v, a) -> Text.lower(in.values.str(v)))
          .add("capitalize", "", (in, v, a) -> Text.capitalize(in.values.str(v)))
          .add("title", "", (in, v, a) -> TextFilters.title(in.values.str(v)))
          .add("trim", "chars?", (in, v, a) -> TextMethods.strip(in.values.str(v), a))
          .add("replace", "old new count?", TextFilters::replace)
          .add("center", "width?", TextFilters::center)
          .add("indent", "width? first? blank?", TextFilters::indent)
          .add("truncate", "length? killwords? end? leeway?", TextFilters::truncate)
          .add(
              "wordwrap",
              "width? break_long_words? wrapstring? break_on_hyphens?",
              TextFilters::wordWrap)
          .add("wordcount", "", (in, v, a) -> TextFilters.words(in.values.str(v)))
          .add("format", "*", TextFilters::format)
          .add("escape e forceescape", "", (in, v, a) -> TextFilters.escape(in.values.str(v)))
          .add("safe", "", (in, v, a) -> in.values.str(v))
          .add("striptags", "", (in, v, a) -> TextFilters.stripTags(in.values.str(v)))
          .add("urlencode", "", TextFilters::urlEncode)
          // sequences
          .add("list", "", SequenceFilters::list)
          .add("first", "", SequenceFilters::first)
          .add("last", "", SequenceFilters::last)
          .add("reverse", "", SequenceFilters::reverse)
          .add("join", "d? attribute?", SequenceFilters::join)
          .add("map", "*", SequenceFilters::map)
          .add("select", "*", (in, v, a) -> SequenceFilters.select(in, v, a, true, false))
          .add("reject", "*", (in, v, a) -> SequenceFilters.select(in, v, a, false, false))
          .add("selectattr", "*", (in, v, a) -> SequenceFilters.select(in, v, a, true, true))
          .add("rejectattr", "*", (in, v, a) -> SequenceFilters.select(in, v, a, false, true))
          .add("unique", "case_sensitive? attribute?", SequenceFilters::unique)
          .add("sort", "reverse? case_sensitive? attribute?", SequenceFilters::sort)
          .add("dictsort", "case_sensitive? by? reverse?", SequenceFilters::sortDict)
          .add("groupby", "attribute default? case_sensitive?", SequenceFilters::groups)
          .add("min", "case_sensitive? attribute?", (in, v, a) -> best(in, v, a, "<"))
          .add("max", "case_sensitive? attribute?", (in, v, a) -> best(in, v, a, ">"))
          .add("sum", "attribute? start?", SequenceFilters::sum)
          .add("batch", "linecount fill_with?", SequenceFilters::batch)
          .add("slice", "slices fill_with?", SequenceFilters::slices)
          .add("items", "", SequenceFilters::items)
          .done();

  private Filters() {}
}
