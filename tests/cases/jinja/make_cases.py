#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes templates.jsonl beside it: templates of one idea each, with what Jinja2 makes of them.

usage: make_cases.py     needs: jinja2 3.1

The environment is the one that transformers sets up for chat templates. A line has the template and
either its output or the kind of its error; message is there where a template or Jinja itself wrote it.
The variables of all cases are the first line.
"""
import datetime
import json
import os

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

VARIABLES = {
    "n": 7, "m": -3, "x": 2.5, "zero": 0, "s": "Hello, World", "empty": "", "t": True, "f": False,
    "none": None, "text": "  two words\n", "emoji": "a😀b", "lines": "one\n\n two\r\nthree\n",
    "quote": "it's", "both": "it's \"x\"", "html": "<b>a & 'b'</b>", "tags": "a <b>bold</b>  &amp; <!-- x --> b",
    "items": [3, 1, 2], "words": ["pear", "Apple", "fig", "apple"], "nested": [[1, 2], [3, [4]]],
    "d": {"b": 1, "a": "two", "items": "key", "n": None, "l": [1, {"k": "v"}]},
    "users": [
        {"name": "Ann", "age": 30, "city": "Rome", "tags": ["x"]},
        {"name": "bob", "age": 25, "city": "Oslo"},
        {"name": "Cid", "age": 30, "city": "rome", "tags": []},
    ],
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi é 😀 <x>"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"type": "function", "function": {"name": "f", "arguments": {"a": 1, "b": [1.5, True, None]}}}]},
        {"role": "user", "content": [{"type": "text", "text": "part"}, {"type": "image"}]},
    ],
    "big": 12345678901234567890, "tiny": 1e-7, "huge": 1e22, "tenth": 0.1, "ctrl": "a\tb\\c\x01\x7f\u200b",
    "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}],
}

# Each expression stands in {{ }}.
EXPRESSIONS = r"""
n|m|x
1 + 2 * 3 ** 2
2 ** 3 ** 2
-2 ** 2
2 ** -1
7 // 2, -7 // 2, 7 // -2, 7.5 // 2, -7.5 // 2
7 % 3, -7 % 3, 7 % -3, 7.5 % 2, -7.5 % 2, 5 % -2.5
7 / 2, 6 / 2
1 / 0
1 // 0
1 % 0
1.0 % 0
big + 1, big * big, -big, big // 7, big % 7, big / 3
9223372036854775807 + 1, -9223372036854775808 - 1, 4611686018427387904 * 2, 3037000500 * 3037000500
0x1f, 0b101, 0o17, 1_000, 1e3, 1.5e-3, 1E2
tenth + 0.2, huge, tiny, 1e16, 1e15, 123456789012345680.0, 1e-5, 0.0001, 100.0, 1.0e100, -0.0
1 ~ 2 ~ x ~ none ~ t ~ [1, "a"] ~ missing
"a" "b" 'c'
"a" + "b", "ab" * 3, 3 * "ab", [1] * 2, [1] + [2], (1,) + (2,), "a" * -1
"a" + 1
1 + "a"
"a" + [1]
[1] + "a"
[1] + (2,)
none + 1
"a" - "b"
"x" * "y"
-"a"
missing + 1
missing ~ "x"
missing
missing.x
missing["x"]
missing.x.y
missing == missing2, missing == none, missing != 1
missing < 1
d.missing
d.missing.x
d.missing is defined, d.b is defined
d["missing"]
n.foo
n.foo.bar
none.x
none.x.y
items[10]
items[10].x
items["a"]
items.0, items[0], items[-1], nested[1][1][0], nested.1.0
s[0], s[-1], s[100] is defined
s[1:4], s[:3], s[-3:], s[::-1], s[::2], s[10:2:-2], s[:-1], s[5:1], s[100:], s[-100:3]
items[1:], items[::-1], items[:1], (1, 2, 3)[1:], (1, 2, 3)[::-1]
emoji[1], emoji|length, emoji[::-1], emoji[1:2], emoji[2]
items["a":]
items[::0]
d[1:2]
d[[1]] is defined
d["items"], d.items(), d.keys(), d.values()
d.items()|list, d.keys()|list, d.values()|list
d.get("a"), d.get("zz"), d.get("zz", 5), d.get("n", 5)
d.pop("a")
d.update({})
items.append(1)
items.index(2), items.count(1), (1, 1).count(1), (3, 4).index(4)
items.index(9)
s.__class__
s.__class__.x
d.__class__
s.foo
s.foo()
s()
n()
missing()
1 < 2 < 3, 1 < 3 < 2, 1 == 1.0, true == 1, "a" < "b", [1, 2] < [1, 3], (1,) < (1, 2), 1 != 2
1 < "a"
"a" < 1
[1] < ["a"]
none < 1
{} < {}
1 in items, 5 not in items, "ell" in s, "" in s, "b" in d, "z" in d, 1 in (1, 2), none in [none]
1 in s
none in s
1 in 5
1 in none
"a" in missing
[1] in [[1]], {"a": 1} in [{"a": 1.0}], 1 in [true]
not 1, not "", not [], not none, not missing, not not 1
1 and 2, 0 and 2, 0 or "x", "" or [], none or 0, 1 or missing.x
"a" if 1 else "b", "a" if 0 else "b", ("a" if 0), "a" if 0 else "b" if 0 else "c"
("a" if 0).x
(1, 2), (1,), (), [1, (2,)], {"a": (1,)}, {}, []
1,
1, 2
{"a": 1, "b": [1.0, none, true, "x"], 3: 4, none: 5}
{1: "a", 1.0: "b", true: "c"}
{[1]: 2}
none, true, false, True, False, None
nested, d, users[0]
quote, [quote], [both], ["a\nb\t\\"], [ctrl], ["é😀\u00a0\u2028"], ["\x00"]
"\n\t\\\'\"\x41\u00e9\101\q"
'\U0001F600'
text|trim, text.strip(), "[" ~ text.rstrip() ~ "]", "xxaxx".strip("x"), "xyaxy".lstrip("yx"), "a\u00a0".strip()
s.upper(), s.lower(), s.title(), s.capitalize(), s.swapcase(), "they're bill's".title(), "ßx".title(), "ß".upper()
s.split(", "), s.split(), "a b  c".split(" "), "a,b,c".split(",", 1), "a,b,c".rsplit(",", 1), "  a b ".split(none, 1), " a b  c ".rsplit(none, 1), "".split(), "".split(",")
"a".split("")
s.startswith("Hell"), s.endswith("ld"), s.startswith(("x", "H")), s.startswith("ello", 1), s.endswith("lo", 0, 5)
s.startswith(1)
s.find("o"), s.rfind("o"), s.find("z"), s.index("W"), s.find("o", 5), s.find("o", 5, 7), s.count("l"), s.count(""), emoji.find("b"), s.find("", 3), s.find("", 100)
s.index("z")
s.replace("l", "L"), s.replace("l", "L", 2), "aaa".replace("a", "b", 0), "ab".replace("", "-"), "ab".replace("", "-", 2), emoji.replace("", ".")
s.replace(1, 2)
", ".join(["a", "b"]), "-".join("abc"), "".join([])
",".join([1])
"a.b".partition("."), "a.b.c".rpartition("."), "ab".partition("."), "ab".rpartition(".")
"prefix-x".removeprefix("prefix-"), "x.txt".removesuffix(".txt"), "abc".removeprefix("z"), "abc".removesuffix("")
lines.splitlines(), lines.splitlines(true), "".splitlines(), "a\u2028b\x0bc".splitlines()
"5".zfill(3), "-5".zfill(4), "abc".zfill(2), "a".center(5), "ab".center(5, "*"), "abc".center(6), "ab".center(7), "a".ljust(3) ~ "|", "a".rjust(3)
"a\tb".expandtabs(), "a\tb\n\tc".expandtabs(4)
"12".isdigit(), "1.2".isdigit(), "".isdigit(), "ab1".isalnum(), "ab".isalpha(), " ".isspace(), "Ab".istitle(), "AB".isupper(), "ab1".islower(), "1".isupper(), "a_1".isidentifier(), "1a".isidentifier(), "é".isascii(), "²".isdigit(), "²".isdecimal(), "½".isnumeric(), "a\n".isprintable()
"ẞ".casefold(), "MASSE".casefold()
"{} {}".format(1, "a"), "{1} {0}".format(1, 2), "{x} {y}".format(x=1, y=[1]), "{:>5}|{:<5}|{:^5}|{:*^7}".format("a", "b", "c", "d"), "{:5}|{:5}".format(1, "a"), "{{}}".format()
"{:.2f} {:e} {:g} {:,} {:08.3f} {:+d} {:x} {:#x} {:b} {:o} {:%} {:.3} {:d}".format(3.14159, 12345.678, 0.00001, 1234567, 3.14159, 5, 255, 255, 5, 8, 0.25, "abcdef", true)
"{:.3} {} {:10.4} {:g} {:G} {:E} {:.0f} {:.1f}".format(1234.5678, 1e20, 2.0, 1e10, 1e-10, 0.0, 2.5, 0.25)
"{0.name} {0[name]} {1[0]} {2!r} {2!s:>4}".format(users[0], items, "a")
"{a}".format_map({"a": 1})
"{}".format()
"{x}".format()
"{".format()
"}".format()
"{:d}".format("a")
"{:s}".format(1)
"{0.__class__}".format(1)
"%s %s" % (1, "a"), "%d%%" % 5, "%5d|%-5d|%05d|%+d" % (1, 2, 3, 4), "%.2f %e %g %x %X %o %c %r %5s|%-5s|%.2s" % (1.005, 12345.678, 1e-7, 255, 255, 8, "a", "b", "c", "d", "efgh"), "%(a)s %(b)d" % {"a": "x", "b": 2}, "%s" % [1], "%d" % 3.9, "%*d" % (5, 1)
"%s" % (1, 2)
"%s %s" % (1,)
"%d" % "a"
"%z" % 1
"%s" % missing
"%s" % none, "%s" % (none,), "abc" % {}, "%s" % {"a": 1}
s|upper, s|lower, s|title, "foo-bar baz(qux o'neil"|title, s|capitalize, 5|upper, none|lower
s|length, items|count, d|length, missing|length, d.items()|length
5|length
none|length
items|map("string")|length
words|sort, words|sort(case_sensitive=true), words|sort(reverse=true), items|sort, users|sort(attribute="age")|map(attribute="name")|list, users|sort(attribute="age,name", reverse=true)|map(attribute="name")|join(",")
[1, "a"]|sort
users|map(attribute="name")|join(", "), users|map(attribute="tags")|list, users|map(attribute="tags", default=[])|list, users|map(attribute="zip.x", default="-")|list, nested|map(attribute=0)|list, nested|map(attribute="1.0")|list
nested|map(attribute=1)|map(attribute=0)|list
items|map("string")|list, words|map("upper")|join, words|map("replace", "p", "b")|list, items|map("round", precision=1)|list
items|map|list
items|map("nope")|list
users|map(attribute="name", x=1)|list
none|map("upper")|list, none|select|list, missing|map("upper")|list, 0|selectattr("x")|list
[0, 1, "", "a", none]|select|list, [0, 1, ""]|reject|list, items|select("odd")|list, items|reject("odd")|list, items|select("gt", 1)|list, items|select(">=", 2)|list, items|select("in", [1, 2])|list, items|select("divisibleby", 3)|list
users|selectattr("age", "eq", 30)|map(attribute="name")|list, users|rejectattr("tags")|map(attribute="name")|list, users|selectattr("tags", "defined")|list|length, users|selectattr("name", "equalto", "bob")|first, users|selectattr("city", "in", ["Rome"])|list|length
users|selectattr|list
users|selectattr("age", "nope")|list
users|selectattr("name", "equalto", "zed")|first is defined
users|selectattr("name", "equalto", "zed")|list|last is defined
"yes" if users|selectattr("name", "equalto", "zed") else "no"
items|first, items|last, s|first, s|last, d|first, d|last, []|first is defined
[]|first
items|map("string")|first
items|map("string")|last
items|min, items|max, words|min, words|max, []|min is defined, users|max(attribute="age"), users|min(attribute="name")
items|sum, users|sum(attribute="age"), []|sum, [[1], [2]]|sum(start=[]), [1.5, 2]|sum, items|sum(start=10)
["a"]|sum
items|join, items|join("-"), s|join("."), [none, 1.0, true]|join(" "), users|join("|", attribute="name"), missing|join(","), d|join(",")
5|join
items|reverse|list, s|reverse, d|reverse|list, (1, 2)|reverse|list
5|reverse
[1, 2, 1, 3, 2]|unique|list, words|unique|list, words|unique(case_sensitive=true)|list, users|unique(attribute="city")|map(attribute="city")|list, [1, 1.0, true]|unique|list
[[1]]|unique|list
d|dictsort, {"B": 2, "a": 1, "C": 0}|dictsort, {"B": 2, "a": 1}|dictsort(true), {"b": 1, "a": 2}|dictsort(by="value"), {"b": 1, "a": 2}|dictsort(reverse=true)
{"b": 1, "a": "x"}|dictsort(by="value")
{"b": 1}|dictsort(by="x")
[1]|dictsort
d|items|list, missing|items|list
[1]|items|list
users|groupby("city"), users|groupby("age")|map(attribute="grouper")|list, users|groupby("city", case_sensitive=true)|length, users|groupby("zip", default="?")|list
range(7)|batch(3)|list, range(7)|batch(3, "x")|list, range(7)|slice(3)|list, range(7)|slice(3, "x")|list, []|batch(2)|list
range(3), range(3)|list, range(1, 10, 3)|list, range(3, 0, -1)|list, range(0)|list, range(5)[1], range(5)|length, 3 in range(5), range(1, 9, 2)
range(1000000)
range(1, 2, 0)
range("a")
range(missing)
missing|default("x"), none|default("x"), none|default("x", true), ""|d("y", boolean=true), 0|default(1), missing|default, missing|default(none), d.zz|default("q")
missing.x|default("y")
"42"|int, "4.9"|int, "x"|int, "x"|int(7), 3.9|int, -3.9|int, "0x1f"|int(base=16), "ff"|int(0, 16), "101"|int(base=2), " 12 "|int, "1_000"|int, none|int, none|int(3), true|int, [1]|int, "0x1f"|int(base=0), "1e3"|int, ""|int
"4.5"|float, "x"|float, "x"|float(1.5), 3|float, none|float, "1e3"|float, "inf"|float, "nan"|float, " 1. "|float, ".5"|float, true|float
missing|int
missing|float
42.55|round, 42.55|round(1), 2.5|round, 3.5|round, 42.55|round(1, "floor"), 42.51|round(1, "ceil"), 42|round, -2.5|round, 1234|round(-2), 1234.5|round(-2), 42.1|round(0, "ceil"), 2.675|round(2), 42.55|round|int
"a"|round
1.5|round(1, "x")
-5|abs, -2.5|abs, true|abs
"a"|abs
"a b"|replace("a", "x"), "aaa"|replace("a", "b", 2), 5|replace(5, 6), s|replace("l", "")
"a"|replace("a")
"a\nb\n\nc"|indent, "a\nb\n\nc"|indent(2, true), "a\n\nb"|indent(2, blank=true), "a\nb"|indent("> "), "a\nb"|indent(width=1, first=true), ""|indent, "a\n"|indent
5|indent
"foo bar baz qux"|truncate(9), "foo bar baz qux"|truncate(9, true), "foo bar baz qux"|truncate(11), "foo bar baz qux"|truncate(11, false, "...", 0), "foo bar baz qux"|truncate(5, end="…", leeway=0)
"x"|truncate(1)
"the quick brown fox jumps"|wordwrap(10), "aaaaaaaaaaaaaaa b"|wordwrap(5), "aaaaaaaaaaaaaaa b"|wordwrap(5, false), "a b\n\nc d"|wordwrap(3), "a  b   c"|wordwrap(4)
"well-known words-here"|wordwrap(8), "well-known words-here"|wordwrap(8, break_on_hyphens=false)
"a b, c-d"|wordcount, "é ü"|wordcount
"a"|center(5), "a"|center(width=4)
"%s-%s"|format(1, 2), "%(a)s"|format(a=1)
"%s"|format(1, a=2)
html|e
html|escape ~ 5|e ~ html|forceescape
html|safe
tags|striptags
"a b/c?d=é&"|urlencode, {"a b": 1, "c": "d&"}|urlencode, [["x", 1], ["y", "z z"]]|urlencode
1000|filesizeformat, 1|filesizeformat, 999|filesizeformat, 1500000|filesizeformat, 1500000|filesizeformat(true), 1e30|filesizeformat, "1024"|filesizeformat
s|string, 5|string, none|string, [1]|string
s|list, d|list, missing|list
5|list
none|list
s|attr("upper") is defined, d|attr("a") is defined, d|attr("items") is callable
d|tojson, nested|tojson, s|tojson, none|tojson, true|tojson, 1.0|tojson, 1e22|tojson, both|tojson, html|tojson, "é😀"|tojson, ctrl|tojson, (1, 2)|tojson, big|tojson, tenth|tojson, []|tojson, {}|tojson
d|tojson(indent=2), nested|tojson(indent=4), []|tojson(indent=2), {"a": {}}|tojson(indent=1), d|tojson(indent="\t"), [1]|tojson(indent=0)
d|tojson(separators=(",", ":")), {"b": 1, "a": 2}|tojson(sort_keys=true), "é😀"|tojson(ensure_ascii=true), "é"|tojson(true), {1: 2, none: 3, true: 4, 1.5: 5}|tojson, [1, 2]|tojson(indent=none)
{"a": missing}|tojson
range(3)|tojson
d.items()|tojson
items|map("string")|tojson
missing|tojson
d|tojson(4)
"inf"|float|tojson
messages|tojson
messages[2].tool_calls[0].function.arguments|tojson(indent=2)
messages[3].content
s is string, n is string, n is number, t is number, n is integer, t is integer, x is float, x is integer, t is boolean, none is none, missing is none
d is mapping, items is mapping, items is sequence, d is sequence, s is sequence, n is sequence, (1,) is sequence, missing is sequence, d.items() is sequence, range(2) is sequence
items is iterable, s is iterable, n is iterable, d is iterable, missing is iterable, none is iterable, d.items() is iterable
n is odd, n is even, 4 is even, 7 is divisibleby 7, 7 is divisibleby(3), 9 is divisibleby 3 and true
missing is defined, missing is undefined, n is defined, range is defined, raise_exception is defined, strftime_now is defined, loop is defined
s is lower, "a" is lower, "A" is upper, t is true, f is false, 1 is true, n is callable, range is callable, s.upper is callable
n is eq 7, n is equalto(7), n is ne 7, n is gt 5, n is ge 7, n is lt 5, n is le 7, n is sameas 7, none is sameas none, 1 is in [1, 2], "x" is in "xyz"
not n is none, n is not none, n is not defined, n is not odd
"upper" is filter, "nope" is filter, "odd" is test
s is string and n is number or false
n is nope
n|nope
n|nope if false else 1
1 if true else n|nope
1 if false else n|nope
"a" is odd
none is odd
missing is odd
missing is string
namespace(a=1), namespace(a=1).a, namespace().x is defined, namespace({"a": 2}).a
namespace(a=1)["a"]
namespace(a=1).b
namespace(a=1).b.c
dict(a=1, b=2), dict([("a", 1)]), dict({"a": 1}, b=3), dict()
raise_exception("no " ~ n)
raise_exception()
raise_exception(none)
strftime_now("%Y-%m-%d %H:%M:%S"), strftime_now("%d %b %Y"), strftime_now("%A, %B %-d, %Y"), strftime_now("%a %e %j %y %I:%M %p %U %W %w %u %V %G %% %c %x %X %D %F %T %f")
strftime_now("%Q")
cycler(1, 2).next(), joiner()() ~ joiner()()
(n)|string + "x"
-n|abs, (-n)|abs, -x|int, n + x|int, "a" ~ "b"|upper, n in items|list, not n|default(0), 5 - 3|abs, 2 * "3"|int
s.split(", ")|last|upper, s|upper|lower|title
s.upper()[0:2].lower(), d.l[1].k, d["l"][1]["k"], users[1].name[0]
[[1, 2], [3]][0][1], {"a": {"b": 2}}.a.b, {"a": 1}["a"], "abc"[1], (1, 2)[0], [1, 2].0
range(*[1, 4])|list, dict(**{"a": 1}), "{}{}".format(*[1, 2]), "{a}".format(**{"a": 1})
range(1, *[4])|list, "a".replace(*("a", "b"))
"a".foo.bar
users[0]["na" ~ "me"], d["a"|lower]
{"a": 1}.items()|first, {"a": 1}.items()|list|first|last
"a" in {"a": 1}, "a" in ["b"] or "c" in "abc", 1 in [1] == true
1 == 1 == 1, 1 == 1 == 2, "a" != "b" == "b", (1 != 2) != (3 % 2 == 0)
none == none, none == false, none == 0, [] == (), "1" == 1, 1.0 == 1, [1, [2]] == [1, [2.0]], d == d, {"a": 1, "b": 2} == {"b": 2, "a": 1}
1 > 2 or 3 > 2 and not false
true + 1, true * 3, -true, true / 2
1 is number and "1" is string, [] is none
3 is odd is true
x.is_integer(), 2.0.is_integer()
"\u00e9"|length, "é"|upper, "ǆ"|title, "İ"|lower|length
"a;b", "a{{b", '}}', "%}"
{"a":{"b":1}}["a"]["b"]
[1,2,][0], (1,)[0], {"a":1,}
"x"|replace("x", "\\n"), '\\d+', "a\\"
""" .strip("\n").split("\n")

# Whole templates.
TEMPLATES = [
    # white space
    "a\n", "a\n\n", "a\r\nb\r\n", "\n", "", "a\n{% if t %}\nb\n{% endif %}\nc\n", "  {% if t %}\n  b\n  {% endif %}\nc",
    "x  {% if t %}b{% endif %}  y", "a {%- if t -%}  b  {%- endif -%}  c", "a {%+ if t %}\n b{% endif +%}\nc", "a\n   {%+ if t %}b{% endif %}",
    "a\n  {{ n }}\n  b", "a  {{- n -}}  b", "a\n  {{- n }}\n", "{# c #}\na", "a\n  {# c #}\n  b", "a {#- c -#} b", "a\n  {#+ c +#}\nb", "{#-#}x", "{##}x",
    "{% raw %}{{ n }} {% if %}{% endraw %}", "a\n  {% raw %}\n x {{ }}\n  {% endraw %}\nb", "{% raw -%}  x  {%- endraw %} y", "{%- raw -%} {{ {%- endraw -%} y",
    "{% if t %}\n\n  x\n{% endif %}\n\ny", "\t{% set a = 1 %}\n{{ a }}", "{% set a = 1 %}{% set b = 2 %}\n\n{{ a }}{{ b }}",
    "{% for i in items %}\n{{ i }}\n{% endfor %}\nend", "{% for i in items -%}\n  {{ i }},\n{%- endfor %}", "{{ '\n' }}{% if t %}\n{% endif %}x",
    "  {% if t %}  {% if t %}\nx{% endif %}  {% endif %}", "a\n  {% if t %}{{ n }}{% endif %}\n  ", "{% if t %}a{% endif %}\n  {% if t %}b{% endif %}\n",
    "{{ n }}\n{{ n }}\n", "{{ n -}}\n{{ n }}\n", "{%if t%}a{%else%}b{%endif%}", "{{n}}{{-n-}}{{+n}}", "{{ '}}' }} {{ \"{%\" }}", "{ {n} } {", "{{ {'a': {'b': 1}}['a'] }}",
    "{%- for i in items %}{{ i }}{%- if not loop.last %}, {% endif %}{%- endfor %}",
    # if
    "{% if n > 5 %}a{% elif n > 3 %}b{% else %}c{% endif %}", "{% if zero %}a{% elif none %}b{% else %}c{% endif %}", "{% if missing %}a{% endif %}b", "{% if n is nope %}{% endif %}",
    "{% if false %}{{ n|nope }}{% endif %}x", "{% if false %}x{% else %}{{ n|nope }}{% endif %}", "{% if n, 0 %}x{% endif %}", "{% if not t %}a{% endif %}{% if t and not f %}b{% endif %}",
    # for
    "{% for i in items %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}",
    "{% for i in items %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {% endfor %}", "{% for i in items %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}",
    "{% for i in items %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for i in [1,1,2,1] %}{{ loop.changed(i) }} {% endfor %}", "{% for i in items %}{{ loop }} {% endfor %}", "{% for i in [] %}x{% else %}none{% endfor %}",
    "{% for i in missing %}x{% else %}none{% endfor %}", "{% for i in none %}x{% endfor %}", "{% for i in 5 %}x{% endfor %}", "{% for c in emoji %}[{{ c }}]{% endfor %}", "{% for k in d %}{{ k }},{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}", "{% for a, (b, c) in [[1, [2, 3]]] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for a, b in [[1]] %}{% endfor %}", "{% for a, b in [[1, 2, 3]] %}{% endfor %}", "{% for a, b in [1] %}{% endfor %}", "{% for a, b in ['xy'] %}{{ a }}{{ b }}{% endfor %}",
    "{% for i in items if i > 1 %}{{ i }}/{{ loop.length }}/{{ loop.last }} {% endfor %}", "{% for i in items if i > 9 %}x{% else %}none{% endfor %}", "{% for m in messages if m.role == 'user' %}{{ loop.index }}{{ m.role }}{% endfor %}",
    "{% for i in items %}{% for j in items %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}", "{% for i in range(10) %}{% if i == 3 %}{% continue %}{% endif %}{% if i == 6 %}{% break %}{% endif %}{{ i }}{% endfor %}", "{% for i in range(3) %}{% for j in range(3) %}{% if j == 1 %}{% break %}{% endif %}{{ i }}{{ j }} {% endfor %}{% endfor %}", "{% for i in items %}{% break %}{% else %}x{% endfor %}y", "{% for i in items %}{% continue %}{% else %}x{% endfor %}y", "{% for i in items %}{% if i == 1 %}{% break %}{% endif %}{% else %}x{% endfor %}y",
    "{% break %}", "{% for i in items %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}", "{% for i in items %}{% with %}{% break %}{% endwith %}{% endfor %}x",
    "{% set x = 1 %}{% for i in items %}{{ x }}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}", "{% for i in items %}{% set y = i %}{% endfor %}{{ y is defined }}", "{% for i in items %}{% if loop.first %}{% set y = i %}{% endif %}{{ y is defined }} {% endfor %}", "{% for i in items %}{% endfor %}{{ i is defined }}", "{% set i = 9 %}{% for i in items %}{{ i }}{% endfor %}{{ i }}",
    "{% for node in tree recursive %}{{ node.v }}@{{ loop.depth }}({{ loop(node.c) }}){% endfor %}", "{% for node in tree %}{{ loop(node.c) }}{% endfor %}", "{% for i in items|map('string') %}{{ i }}{{ loop.last }}{{ loop.length }} {% endfor %}", "{% for loop in items %}{% endfor %}", "{% for i in items %}{{ i }}", "{% for %}{% endfor %}", "{% for i of items %}{% endfor %}",
    "{% set ns = namespace(found=false) %}{% for i in items if not ns.found %}{{ i }}{% set ns.found = true %}{% endfor %}", "{% for i in (1, 2) %}{{ i }}{% endfor %}{% for i in 1, 2 %}{{ i }}{% endfor %}", "{% for i in range(3) %}{{ i }}{{ ', ' if not loop.last }}{% endfor %}", "{% for m in messages %}{{ loop.index0 % 2 == 0 }}{{ m['role'] }}{{ '\\n' }}{% endfor %}", "{% for m in messages[1:] %}{{ m.role }}{% endfor %}", "{% for m in messages[::-1] %}{{ m.role }}{% endfor %}", "{% for i in d.items() %}{{ loop.length }}{{ i }}{% endfor %}", "{% for i in items if i|odd %}{% endfor %}", "{% for i in items %}{{ loop.foo }}{% endfor %}", "{% for i in items %}{{ loop.foo.bar }}{% endfor %}",
    # set
    "{% set a = 1 %}{{ a }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a, b = [1] %}", "{% set a = 1, 2 %}{{ a }}", "{% set a %}x{{ n }}y{% endset %}[{{ a }}]", "{% set a | upper | trim %} x{{ n }}y {% endset %}[{{ a }}]", "{% set ns = namespace() %}{% set ns.x = 5 %}{{ ns.x }}{{ ns }}", "{% set ns = namespace(c=0) %}{% for i in items %}{% set ns.c = ns.c + i %}{% endfor %}{{ ns.c }}", "{% set d.x = 1 %}", "{% set missing.x = 1 %}", "{% set true = 1 %}", "{% set 5 = 1 %}", "{% set a b %}", "{% set a = %}", "{% set (a, b) = (1, 2) %}{{ a }}{{ b }}", "{% set ns = namespace(a=1) %}{% set ns.b, c = 2, 3 %}{{ ns.b }}{{ c }}", "{% set a = n if n > 5 else 0 %}{{ a }}", "{% set messages = messages[1:] %}{{ messages|length }}", "{% if t %}{% set a = 1 %}{% endif %}{{ a }}", "{% if f %}{% set n = 1 %}{% endif %}{{ n }}", "{% set ns = namespace(l=[]) %}{% for i in items %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.l }}", "{% set a %}{% set b = 1 %}{% endset %}{{ b is defined }}", "{% set a = namespace %}{{ a(x=1).x }}", "{% set x = x %}{{ x }}", "{% set y = y|default(3) %}{{ y }}", "{% set a %}{% for i in items %}{{ i }}{% endfor %}{% endset %}{{ a|length }}",
    # macro
    "{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(b=5, a=4) }} {{ m(1, c=9) }}", "{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m() }}{{ m(none) }}", "{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}", "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(z=2) }}", "{% macro m(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, z=4) }}", "{% macro m() %}{{ caller() }}!{% endmacro %}{% call m() %}x{{ n }}{% endcall %}", "{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b=5) m() %}{{ a }}{{ b }}{% endcall %}", "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}", "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}", "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}", "{% set y = 1 %}{% macro m() %}{{ y }}{% endmacro %}{% set y = 2 %}{{ m() }}", "{% macro m() %}{% set z = 1 %}{{ z }}{% endmacro %}{{ m() }}{{ z is defined }}", "{{ m }}{% macro m() %}{% endmacro %}", "{% macro m() %}{% endmacro %}{{ m }} {{ m.name }} {{ m.arguments }} {{ m.catch_kwargs }} {{ m.caller }}", "{% macro m(a) %}  {{ a }}  {% endmacro %}[{{ m(1)|trim }}]", "{% macro m(x) %}{{ x }}{% endmacro %}{{ items|map('string')|map('upper')|list }}{{ m(x=items)|length }}", "{% macro m(a=1, b) %}{% endmacro %}", "{% macro m(a, a) %}{% endmacro %}", "{% macro %}{% endmacro %}", "{% for i in items %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{% macro m(a) %}{% for i in a %}{{ loop.index }}{% endfor %}{% endmacro %}{% for j in items %}{{ m(items) }}{{ loop.index }} {% endfor %}", "{% call n() %}{% endcall %}", "{% call n %}{% endcall %}", "{% macro m(a, b='x') -%}\n  {{ a }}\n{%- endmacro %}{{ m(1) }}", "{% macro m(kwargs) %}{{ kwargs }}{% endmacro %}{{ m(1) }}",
    # filter, with, generation, others
    "{% filter upper %}a{{ n }}b{% endfilter %}", "{% filter replace('a', 'b')|upper %}aaa{% endfilter %}", "{% filter nope %}{% endfilter %}", "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}", "{% with a = 1, b = a %}{{ b is defined }}{% endwith %}", "{% generation %}a{{ n }}{% endgeneration %}b", "{% generation %}{% set g = 1 %}{% endgeneration %}{{ g is defined }}", "{% for i in items %}{% generation %}{{ i }}{% endgeneration %}{% endfor %}", "{% do items.append(1) %}", "{% nope %}", "{% endif %}", "{% if t %}", "{% if t %}{% endfor %}", "{{ n", "{% if t", "{# x", "{% raw %}x", "{{ }}", "{{ n + }}", "{{ (n }}", "{{ [1, }}", "{{ n) }}", "{{ 'x }}", "{{ n ! }}", "{{ a b }}", "{% if %}{% endif %}", "{{ n..x }}", "{{ n. }}", "{{ f(a=1, 2) }}", "{{ f(**d, 1) }}", "{{ f(a=1, a=2) }}", "{{ {1} }}", "{{ 1 = 2 }}", "{{ n is }}", "{{ n| }}", "{{ not }}", "{{ {'a' 1} }}", "{{ 5 5 }}", "{{ 1 if }}", "{% else %}", "{{ '%s' % 1 }}%}", "{% set x = {'a': 1} %}{{ x.a }}", "{{ [1, 2][0] }}{{ {'a': 1}['a'] }}",
    "{% set j = joiner(', ') %}{% for i in items %}{{ j() }}{{ i }}{% endfor %}", "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.current }}", "{{ raise_exception('Line ' ~ 1) }}", "x\n\n{% if t %}\n{{ raise_exception('deep') }}{% endif %}", "{% set s = 'a' %}{{ s.upper() }}{{ s|upper }}{{ s * 3 }}",
    "{%- for message in messages -%}{{ '<|' + message['role'] + '|>' }}{%- if message.content is string %}{{ message.content }}{% elif message.content is iterable and message.content is not mapping %}{% for p in message.content %}{{ p.text if p.type == 'text' else '[' ~ p.type ~ ']' }}{% endfor %}{%- endif -%}{{ '<|end|>\\n' }}{%- endfor -%}",
    "{% for m in messages %}{{ m.role + ': ' + m.content }}{% endfor %}", "{% for m in messages %}{% if m.tool_calls %}{% for c in m.tool_calls %}{{ c.function.name }}({{ c.function.arguments|tojson }}){% for k, v in c.function.arguments|items %}{{ k }}={{ v }} {% endfor %}{% endfor %}{% endif %}{% endfor %}", "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}{{ system }}{{ rest|length }}", "{% set last = messages|selectattr('role', 'equalto', 'user')|list|last %}{{ last.content[0].text }}", "{% set ns = namespace(i=-1) %}{% for m in messages[::-1] %}{% if ns.i < 0 and m.role == 'user' and m.content is string %}{% set ns.i = (messages|length - 1) - loop.index0 %}{% endif %}{% endfor %}{{ ns.i }}", "{{ messages[0].content.split(' ')[-1].rstrip('.').lstrip('k') }}", "{{ '<think>a</think>b'.split('</think>')[-1].lstrip('\\n') }}{{ '<think>a</think>b'.split('</think>')[0].rstrip('\\n').split('<think>')[-1] }}", "{% if 'x' in messages[0] %}a{% else %}b{% endif %}{{ messages[0].get('x', 'none') }}",
    "{% autoescape false %}x{% endautoescape %}", "{{ n }}{% extends 'x' %}", "{% include 'x' %}", "{% import 'x' as y %}",
]

# What is left to us: Python's own recursion limit, and tags for other files. Left out, too: what prints an address.
OURS = {
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{% autoescape false %}x{% endautoescape %}",
    "{{ n }}{% extends 'x' %}", "{% include 'x' %}", "{% import 'x' as y %}",
}


class Generation(jinja2.ext.Extension):
    """transformers' own tag, without what it keeps count of."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_same"), [], [], body).set_lineno(line)

    def _same(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda f: datetime.datetime(2026, 1, 15, 12, 30, 45).strftime(f)
    return env


def case(env, template):
    try:
        return {"template": template, "output": env.from_string(template).render(**VARIABLES)}
    except Exception as e:  # whatever Python has is an error of the template
        kind = type(e).__name__
        line = {"template": template, "error": kind}
        if kind in ("TemplateError", "UndefinedError"):
            line["message"] = str(e)
        return line


def main():
    env = environment()
    templates = ["{{ " + e + " }}" for e in EXPRESSIONS] + TEMPLATES
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates.jsonl")
    with open(path, "w", encoding="utf-8") as out:
        lines = [case(env, t) for t in templates if t not in OURS]
        for line in [VARIABLES] + [x for x in lines if " at 0x" not in x.get("output", "")]:
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


main()
