// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import dev.tokamak.model.jinja.Lexer.Unreadable;
import dev.tokamak.model.jinja.Node.Expression;
import dev.tokamak.model.jinja.Node.Passed;
import dev.tokamak.model.jinja.Token.Kind;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Expressions, by Jinja's grammar. From loosest to tightest: {@code if else}, {@code or}, {@code
 * and}, {@code not}, comparisons, {@code + -}, {@code ~}, {@code * / // %}, {@code **}, signs,
 * filters and tests, calls and subscripts.
 */
class ExpressionParser {
  private static final int DEEPEST = 100;
  private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");
  private static final Set<String> SPECIAL = Set.of("caller", "varargs", "kwargs");

  private final List<Token> tokens;
  private int at;
  private int depth;

  /** Filters and tests that nobody knows: errors, but for those that an {@code if} may skip. */
  final List<Unreadable> doubts = new ArrayList<>();

  /** For each macro around, which of the special names it reads. */
  final Deque<Set<String>> macros = new ArrayDeque<>();

  ExpressionParser(List<Token> tokens) {
    this.tokens = tokens;
  }

  // ---- the cursor ----

  Token current() {
    return tokens.get(at);
  }

  Token next() {
    Token token = tokens.get(at);
    if (token.kind() != Kind.END) {
      at++;
    }
    return token;
  }

  boolean skip(String operator) {
    boolean there = current().is(operator);
    if (there) {
      next();
    }
    return there;
  }

  boolean skipName(String name) {
    boolean there = current().isName(name);
    if (there) {
      next();
    }
    return there;
  }

  void expect(String operator) {
    if (!skip(operator)) {
      throw unexpected("'" + operator + "'");
    }
  }

  void expectName(String name) {
    if (!skipName(name)) {
      throw unexpected("'" + name + "'");
    }
  }

  void expect(Kind kind) {
    if (current().kind() != kind) {
      throw unexpected(new Token(kind, "", "", 0).describe());
    }
    next();
  }

  String name() {
    if (current().kind() != Kind.NAME) {
      throw unexpected("a name");
    }
    return next().text();
  }

  Unreadable unexpected(String expected) {
    return problem("expected " + expected + ", found " + current().describe());
  }

  Unreadable problem(String message) {
    return new Unreadable(message, current().line());
  }

  /** Called at each level of nesting. */
  void deeper() {
    if (++depth > DEEPEST) {
      throw problem("nested more than " + DEEPEST + " levels deep");
    }
  }

  void back() {
    depth--;
  }

  /** Drops the doubts beyond the first {@code known}: they may never be reached. */
  void forget(int known) {
    doubts.subList(known, doubts.size()).clear();
  }

  // ---- expressions ----

  Expression expression() {
    return expression(true);
  }

  private Expression expression(boolean conditional) {
    deeper();
    Expression value = conditional ? conditional() : or();
    back();
    return value;
  }

  /**
   * One expression, or a tuple of those parted by commas.
   *
   * @param conditional whether {@code if} may follow
   * @param end a name that ends it, besides the end of the tag
   */
  Expression tuple(boolean conditional, String end) {
    return tuple(conditional, end, false);
  }

  private Expression tuple(boolean conditional, String end, boolean parentheses) {
    var items = new ArrayList<Expression>();
    boolean comma = false;
    while (!tupleEnds(end)) {
      items.add(expression(conditional));
      if (!skip(",")) {
        break;
      }
      comma = true;
    }
    if (comma || items.isEmpty() && parentheses) {
      return new Node.TupleOf(List.copyOf(items));
    }
    if (items.isEmpty()) {
      throw unexpected("an expression");
    }
    return items.getFirst();
  }

  private boolean tupleEnds(String end) {
    Token token = current();
    return token.kind() == Kind.VARIABLE_END
        || token.kind() == Kind.BLOCK_END
        || token.is(")")
        || !end.isEmpty() && token.isName(end);
  }

  private Expression conditional() {
    int known = doubts.size();
    Expression value = or();
    boolean maybe = current().isName("if");
    while (skipName("if")) {
      Expression test = or();
      Optional<Expression> otherwise =
          skipName("else") ? Optional.of(expression()) : Optional.empty();
      value = new Node.Conditional(test, value, otherwise);
    }
    if (maybe) {
      forget(known);
    }
    return value;
  }

  private Expression or() {
    Expression left = and();
    while (skipName("or")) {
      left = new Node.Or(left, and());
    }
    return left;
  }

  private Expression and() {
    Expression left = not();
    while (skipName("and")) {
      left = new Node.And(left, not());
    }
    return left;
  }

  private Expression not() {
    if (!skipName("not")) {
      return comparison();
    }
    deeper();
    Expression value = new Node.Not(not());
    back();
    return value;
  }

  private Expression comparison() {
    Expression first = sum();
    var rest = new ArrayList<Node.Compared>();
    while (true) {
      Token token = current();
      if (token.kind() == Kind.OPERATOR && COMPARISONS.contains(token.text())) {
        next();
        rest.add(new Node.Compared(token.text(), sum()));
      } else if (skipName("in")) {
        rest.add(new Node.Compared("in", sum()));
      } else if (token.isName("not") && tokens.get(at + 1).isName("in")) {
        next();
        next();
        rest.add(new Node.Compared("not in", sum()));
      } else {
        return rest.isEmpty() ? first : new Node.Comparison(first, List.copyOf(rest));
      }
    }
  }

  private Expression sum() {
    Expression left = concat();
    while (current().is("+") || current().is("-")) {
      String operator = next().text();
      left = new Node.Binary(operator, left, concat());
    }
    return left;
  }

  private Expression concat() {
    Expression first = product();
    if (!current().is("~")) {
      return first;
    }
    var parts = new ArrayList<Expression>(List.of(first));
    while (skip("~")) {
      parts.add(product());
    }
    return new Node.Concat(List.copyOf(parts));
  }

  private Expression product() {
    Expression left = power();
    while (current().is("*") || current().is("/") || current().is("//") || current().is("%")) {
      String operator = next().text();
      left = new Node.Binary(operator, left, power());
    }
    return left;
  }

  private Expression power() {
    Expression left = unary(true);
    while (skip("**")) {
      left = new Node.Binary("**", left, unary(true));
    }
    return left;
  }

  private Expression unary(boolean filters) {
    Expression value;
    if (current().is("-") || current().is("+")) {
      deeper();
      boolean minus = next().is("-");
      value = new Node.Sign(minus, unary(false));
      back();
    } else {
      value = primary();
    }
    value = postfix(value);
    return filters ? filters(value) : value;
  }

  Expression primary() {
    Token token = current();
    switch (token.kind()) {
      case NAME -> {
        next();
        return switch (token.text()) {
          case "true", "True" -> new Node.Constant(true);
          case "false", "False" -> new Node.Constant(false);
          case "none", "None" -> new Node.Constant(None.NONE);
          default -> {
            if (SPECIAL.contains(token.text())) {
              macros.forEach(special -> special.add(token.text()));
            }
            yield new Node.Name(token.text());
          }
        };
      }
      case STRING -> {
        var text = new StringBuilder();
        while (current().kind() == Kind.STRING) {
          text.append(next().text());
        }
        return new Node.Constant(text.toString());
      }
      case NUMBER -> {
        return new Node.Constant(next().value());
      }
      default -> {
        if (skip("(")) {
          Expression value = tuple(true, "", true);
          expect(")");
          return value;
        }
        if (skip("[")) {
          return list();
        }
        if (skip("{")) {
          return dict();
        }
        throw unexpected("an expression");
      }
    }
  }

  private Expression list() {
    var items = new ArrayList<Expression>();
    while (!skip("]")) {
      if (!items.isEmpty()) {
        expect(",");
        if (skip("]")) {
          break;
        }
      }
      items.add(expression());
    }
    return new Node.ListOf(List.copyOf(items));
  }

  private Expression dict() {
    var keys = new ArrayList<Expression>();
    var values = new ArrayList<Expression>();
    while (!skip("}")) {
      if (!keys.isEmpty()) {
        expect(",");
        if (skip("}")) {
          break;
        }
      }
      keys.add(expression());
      expect(":");
      values.add(expression());
    }
    return new Node.DictOf(List.copyOf(keys), List.copyOf(values));
  }

  Expression postfix(Expression of) {
    Expression value = of;
    while (true) {
      if (skip(".")) {
        Token token = next();
        if (token.kind() == Kind.NAME) {
          value = new Node.Attribute(value, token.text());
        } else if (token.kind() == Kind.NUMBER && token.value() instanceof Long) {
          value = new Node.Item(value, new Node.Constant(token.value()));
        } else {
          throw problem("expected a name or number behind '.', found " + token.describe());
        }
      } else if (skip("[")) {
        value = subscript(value);
      } else if (current().is("(")) {
        value = new Node.Call(value, passed());
      } else {
        return value;
      }
    }
  }

  private Expression subscript(Expression of) {
    var items = new ArrayList<Expression>();
    boolean comma = false;
    Optional<Expression> start = Optional.empty();
    if (!current().is(":")) {
      items.add(expression());
      while (skip(",")) {
        comma = true;
        if (!current().is("]")) {
          items.add(expression());
        }
      }
      if (skip("]")) {
        return new Node.Item(
            of, comma ? new Node.TupleOf(List.copyOf(items)) : items.getFirst());
      }
      if (comma) {
        throw unexpected("']'");
      }
      start = Optional.of(items.getFirst());
    }
    expect(":");
    Optional<Expression> stop = bound();
    Optional<Expression> step = skip(":") ? bound() : Optional.empty();
    expect("]");
    return new Node.Slice(of, start, stop, step);
  }

  private Optional<Expression> bound() {
    return current().is(":") || current().is("]") ? Optional.empty() : Optional.of(expression());
  }

  private Expression filters(Expression of) {
    Expression value = of;
    while (true) {
      if (skip("|")) {
        value = filter(value);
      } else if (skipName("is")) {
        value = test(value);
      } else if (current().is("(")) {
        value = new Node.Call(value, passed());
      } else {
        return value;
      }
    }
  }

  /** The filters behind a block's name: {@code upper|trim}. */
  Expression blockFilters(boolean first) {
    Expression value = new Node.BlockOutput();
    if (first) {
      value = filter(value);
    }
    while (skip("|")) {
      value = filter(value);
    }
    return value;
  }

  private Expression filter(Expression input) {
    String name = name();
    while (skip(".")) {
      name += "." + name();
    }
    if (!Filters.TABLE.containsKey(name)) {
      doubts.add(problem("No filter named '" + name + "'."));
    }
    return new Node.Filter(input, name, current().is("(") ? passed() : Passed.NOTHING);
  }

  private Expression test(Expression value) {
    boolean negated = skipName("not");
    String name = name();
    while (skip(".")) {
      name += "." + name();
    }
    Token token = current();
    Passed passed = Passed.NOTHING;
    if (token.is("(")) {
      passed = passed();
    } else if (beginsOperand(token)) {
      if (token.isName("is")) {
        throw problem("you cannot chain multiple tests with is");
      }
      passed =
          new Passed(List.of(postfix(primary())), List.of(), Optional.empty(), Optional.empty());
    }
    if (!Tests.TABLE.containsKey(name)) {
      doubts.add(problem("No test named '" + name + "'."));
    }
    Expression test = new Node.Test(value, name, passed);
    return negated ? new Node.Not(test) : test;
  }

  private static boolean beginsOperand(Token token) {
    return switch (token.kind()) {
      case NAME -> !Set.of("else", "or", "and").contains(token.text());
      case STRING, NUMBER -> true;
      case OPERATOR -> token.is("[") || token.is("{");
      default -> false;
    };
  }

  private Passed passed() {
    expect("(");
    var ordered = new ArrayList<Expression>();
    var named = new ArrayList<Node.Named>();
    var names = new HashSet<String>();
    Optional<Expression> list = Optional.empty();
    Optional<Expression> dict = Optional.empty();
    boolean first = true;
    while (!skip(")")) {
      if (!first) {
        expect(",");
        if (skip(")")) {
          break;
        }
      }
      first = false;
      if (skip("*")) {
        require(list.isEmpty() && dict.isEmpty());
        list = Optional.of(expression());
      } else if (skip("**")) {
        require(dict.isEmpty());
        dict = Optional.of(expression());
      } else if (current().kind() == Kind.NAME && tokens.get(at + 1).is("=")) {
        require(dict.isEmpty());
        String name = name();
        expect("=");
        if (!names.add(name)) {
          throw problem("keyword argument repeated: " + name);
        }
        named.add(new Node.Named(name, expression()));
      } else {
        require(list.isEmpty() && dict.isEmpty() && named.isEmpty());
        ordered.add(expression());
      }
    }
    return new Passed(List.copyOf(ordered), List.copyOf(named), list, dict);
  }

  private void require(boolean right) {
    if (!right) {
      throw problem("invalid syntax for function call expression");
    }
  }
}
