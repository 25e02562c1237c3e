// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import dev.tokamak.model.jinja.Node.Expression;
import dev.tokamak.model.jinja.Node.Signature;
import dev.tokamak.model.jinja.Node.Statement;
import dev.tokamak.model.jinja.Node.Target;
import dev.tokamak.model.jinja.Token.Kind;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Statements, by Jinja's grammar, with {@code break}, {@code continue} and {@code generation}. */
final class Parser extends ExpressionParser {
  private static final Set<String> OTHER_FILES =
      Set.of("extends", "block", "include", "import", "from");
  private static final Set<String> CONSTANTS =
      Set.of("true", "false", "none", "True", "False", "None");

  private int loops;

  private Parser(List<Token> tokens) {
    super(tokens);
  }

  /** The statements of a template. */
  static List<Statement> parse(String source) {
    var parser = new Parser(Lexer.tokens(source));
    List<Statement> template = parser.body(Set.of());
    if (!parser.doubts.isEmpty()) {
      throw parser.doubts.getFirst();
    }
    return template;
  }

  /** Statements up to a tag that begins with one of the names, which is then the current token. */
  private List<Statement> body(Set<String> ends) {
    deeper();
    var statements = new ArrayList<Statement>();
    while (true) {
      Token token = current();
      switch (token.kind()) {
        case DATA -> {
          next();
          statements.add(new Node.Literal(token.text()));
        }
        case VARIABLE_BEGIN -> {
          next();
          statements.add(new Node.Print(tuple(true, ""), token.line()));
          expect(Kind.VARIABLE_END);
        }
        case BLOCK_BEGIN -> {
          next();
          if (current().kind() == Kind.NAME && ends.contains(current().text())) {
            back();
            return List.copyOf(statements);
          }
          statements.add(statement(ends));
        }
        default -> {
          if (!ends.isEmpty()) {
            throw problem("unexpected end of template, expected " + any(ends));
          }
          back();
          return List.copyOf(statements);
        }
      }
    }
  }

  private static String any(Set<String> ends) {
    return String.join(" or ", ends.stream().sorted().toList());
  }

  /** A body that ends with this tag, which is taken. */
  private List<Statement> bodyUntil(String end) {
    expect(Kind.BLOCK_END);
    List<Statement> body = body(Set.of(end));
    next();
    expect(Kind.BLOCK_END);
    return body;
  }

  private Statement statement(Set<String> ends) {
    Token tag = current();
    String name = name();
    Statement statement =
        switch (name) {
          case "if" -> conditional(tag.line());
          case "for" -> loop(tag.line());
          case "set" -> set(tag.line());
          case "macro" -> macro();
          case "call" -> call(tag.line());
          case "filter" -> {
            Expression value = blockFilters(true);
            yield new Node.FilterBlock(value, outsideLoops("endfilter"), tag.line());
          }
          case "with" -> with(tag.line());
          case "generation" -> new Node.Generation(outsideLoops("endgeneration"));
          case "break" -> inLoop(name, new Node.Break());
          case "continue" -> inLoop(name, new Node.Continue());
          default ->
              throw OTHER_FILES.contains(name)
                  ? problem("'" + name + "' is not supported: a chat template is one file")
                  : problem(
                      "unknown tag '" + name + "'"
                          + (ends.isEmpty() ? "" : ", expected " + any(ends)));
        };
    return statement;
  }

  private Statement inLoop(String name, Statement statement) {
    if (loops == 0) {
      throw problem("'" + name + "' outside loop");
    }
    expect(Kind.BLOCK_END);
    return statement;
  }

  /** The body of what runs on its own, so that no loop around can be left from it. */
  private List<Statement> outsideLoops(String end) {
    int around = loops;
    loops = 0;
    List<Statement> body = bodyUntil(end);
    loops = around;
    return body;
  }

  private Statement conditional(int first) {
    int known = doubts.size();
    var branches = new ArrayList<Node.Branch>();
    int line = first;
    while (true) {
      Expression test = tuple(false, "");
      expect(Kind.BLOCK_END);
      List<Statement> body = body(Set.of("elif", "else", "endif"));
      branches.add(new Node.Branch(test, body, line));
      line = current().line();
      String tag = name();
      if (tag.equals("elif")) {
        continue;
      }
      List<Statement> otherwise = List.of();
      if (tag.equals("else")) {
        expect(Kind.BLOCK_END);
        otherwise = body(Set.of("endif"));
        next();
      }
      expect(Kind.BLOCK_END);
      forget(known);
      return new Node.If(List.copyOf(branches), otherwise);
    }
  }

  private Statement loop(int line) {
    Target target = target("in", false);
    if (names(target).contains("loop")) {
      throw problem("can't assign to special loop variable in for-loop target");
    }
    expectName("in");
    Expression over = tuple(false, "recursive");
    Optional<Expression> where =
        skipName("if") ? Optional.of(expression()) : Optional.empty();
    boolean recursive = skipName("recursive");
    expect(Kind.BLOCK_END);
    loops++;
    List<Statement> body = body(Set.of("endfor", "else"));
    loops--;
    List<Statement> otherwise = List.of();
    if (skipName("else")) {
      expect(Kind.BLOCK_END);
      otherwise = body(Set.of("endfor"));
    }
    next();
    expect(Kind.BLOCK_END);
    return new Node.For(target, over, where, body, otherwise, recursive, line);
  }

  private Statement set(int line) {
    Target target = target("", true);
    if (skip("=")) {
      Expression value = tuple(true, "");
      expect(Kind.BLOCK_END);
      return new Node.Assign(target, value, line);
    }
    Expression value = blockFilters(false);
    return new Node.SetBlock(target, value, outsideLoops("endset"), line);
  }

  /** What is assigned to: names, attributes of namespaces where allowed, or a tuple of them. */
  private Target target(String end, boolean attributes) {
    var targets = new ArrayList<Target>();
    boolean comma = false;
    while (!current().is("=")
        && !current().is(")")
        && current().kind() != Kind.BLOCK_END
        && (end.isEmpty() || !current().isName(end))) {
      targets.add(oneTarget(attributes));
      if (!skip(",")) {
        break;
      }
      comma = true;
    }
    if (targets.isEmpty()) {
      throw unexpected("a name to assign to");
    }
    return comma ? new Node.ToTuple(List.copyOf(targets)) : targets.getFirst();
  }

  private Target oneTarget(boolean attributes) {
    if (skip("(")) {
      deeper();
      Target inner = target("", attributes);
      back();
      expect(")");
      return inner;
    }
    String name = assignable();
    if (attributes && skip(".")) {
      return new Node.ToAttribute(name, name());
    }
    return new Node.ToName(name);
  }

  private String assignable() {
    String name = name();
    if (CONSTANTS.contains(name)) {
      throw problem("can't assign to '" + name + "'");
    }
    return name;
  }

  private static Set<String> names(Target target) {
    var names = new HashSet<String>();
    switch (target) {
      case Node.ToName to -> names.add(to.name());
      case Node.ToTuple to -> to.targets().forEach(one -> names.addAll(names(one)));
      case Node.ToAttribute _ -> {}
    }
    return names;
  }

  private Statement with(int line) {
    var targets = new ArrayList<Target>();
    var values = new ArrayList<Expression>();
    while (current().kind() != Kind.BLOCK_END) {
      if (!targets.isEmpty()) {
        expect(",");
      }
      targets.add(oneTarget(false));
      expect("=");
      values.add(expression());
    }
    return new Node.With(
        List.copyOf(targets), List.copyOf(values), bodyUntil("endwith"), line);
  }

  private Statement macro() {
    String name = assignable();
    macros.push(new HashSet<>());
    var parameters = new ArrayList<String>();
    List<Expression> defaults = parameters(parameters);
    List<Statement> body = outsideLoops("endmacro");
    return new Node.Macro(name, signature(parameters, defaults), body);
  }

  private Statement call(int line) {
    macros.push(new HashSet<>());
    var parameters = new ArrayList<String>();
    List<Expression> defaults = current().is("(") ? parameters(parameters) : List.of();
    if (!(expression() instanceof Node.Call call)) {
      throw problem("expected a call");
    }
    List<Statement> body = outsideLoops("endcall");
    return new Node.CallBlock(signature(parameters, defaults), call, body, line);
  }

  private Signature signature(List<String> parameters, List<Expression> defaults) {
    Set<String> special = macros.pop();
    parameters.forEach(special::remove);
    return new Signature(List.copyOf(parameters), defaults, Set.copyOf(special));
  }

  /** Fills in the names, and returns the defaults of the last ones. */
  private List<Expression> parameters(List<String> names) {
    var defaults = new ArrayList<Expression>();
    expect("(");
    while (!skip(")")) {
      if (!names.isEmpty()) {
        expect(",");
      }
      String name = assignable();
      if (names.contains(name)) {
        throw problem("duplicate argument '" + name + "'");
      }
      names.add(name);
      if (skip("=")) {
        defaults.add(expression());
      } else if (!defaults.isEmpty()) {
        throw problem("non-default argument follows default argument");
      }
    }
    return List.copyOf(defaults);
  }
}
