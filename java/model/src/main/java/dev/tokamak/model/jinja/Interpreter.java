// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import dev.tokamak.model.jinja.Node.Expression;
import dev.tokamak.model.jinja.Node.Passed;
import dev.tokamak.model.jinja.Node.Statement;
import dev.tokamak.model.jinja.Node.Target;
import dev.tokamak.model.jinja.Template.Rendered;
import dev.tokamak.model.jinja.Template.Span;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Optional;

/** Walks a template's tree, once. */
final class Interpreter {
  private enum Flow {
    NEXT,
    BREAK,
    CONTINUE
  }

  final Values values;
  final Clock clock;
  private final Budget budget = new Budget();
  private final StringBuilder text = new StringBuilder();
  private final List<Span> generated = new ArrayList<>();
  private StringBuilder out = text;
  private Scope scope = new Scope();
  private Object blockOutput = "";
  private int line = 1;

  Interpreter(Clock clock) {
    this.clock = clock;
    values = new Values(budget);
  }

  /** The line at work, or where it failed. */
  int line() {
    return line;
  }

  Rendered render(List<Statement> template, Map<String, ?> variables) {
    variables.forEach((name, value) -> scope.set(name, Values.of(value)));
    run(template);
    return new Rendered(text.toString(), List.copyOf(generated));
  }

  // ---- statements ----

  private Flow run(List<Statement> body) {
    for (Statement statement : body) {
      budget.step();
      Flow flow = run(statement);
      if (flow != Flow.NEXT) {
        return flow;
      }
    }
    return Flow.NEXT;
  }

  /** Runs a body with variables of its own. */
  private Flow runInside(List<Statement> body) {
    Scope around = scope;
    scope = new Scope(around);
    Flow flow = run(body);
    scope = around;
    return flow;
  }

  private Flow run(Statement statement) {
    switch (statement) {
      case Node.Literal literal -> write(literal.text());
      case Node.Print print -> {
        line = print.line();
        write(values.str(evaluate(print.value())));
      }
      case Node.If choice -> {
        return choose(choice);
      }
      case Node.For loop -> {
        line = loop.line();
        loop(loop, evaluate(loop.over()), 0);
      }
      case Node.Assign assign -> {
        line = assign.line();
        assign(assign.target(), evaluate(assign.value()));
      }
      case Node.SetBlock set -> {
        Object value = filtered(set.body(), set.value(), set.line());
        assign(set.target(), value);
      }
      case Node.FilterBlock filter ->
          write(values.str(filtered(filter.body(), filter.value(), filter.line())));
      case Node.With with -> {
        return with(with);
      }
      case Node.Macro macro ->
          scope.set(
              macro.name(), new Macro(macro.name(), macro.signature(), macro.body(), scope));
      case Node.CallBlock call -> {
        line = call.line();
        var caller = new Macro("caller", call.signature(), call.body(), scope);
        write(values.str(call(call.call(), Map.of("caller", caller))));
      }
      case Node.Generation generation -> {
        int start = out.length();
        runInside(generation.body());
        if (out == text) {
          generated.add(new Span(start, out.length()));
        }
      }
      case Node.Break _ -> {
        return Flow.BREAK;
      }
      case Node.Continue _ -> {
        return Flow.CONTINUE;
      }
    }
    return Flow.NEXT;
  }

  private void write(String part) {
    budget.make(part.length());
    budget.hold((long) out.length() + part.length());
    out.append(part);
  }

  private Flow choose(Node.If choice) {
    for (Node.Branch branch : choice.branches()) {
      line = branch.line();
      if (Values.truth(evaluate(branch.test()))) {
        return run(branch.body());
      }
    }
    return run(choice.otherwise());
  }

  private void loop(Node.For node, Object over, int depth) {
    Scope around = scope;
    Iterator<Object> items = values.iterate(over);
    Optional<Integer> length = Values.size(over);
    if (node.where().isPresent()) {
      items = where(items, node.target(), node.where().get(), around);
      length = Optional.empty();
    }
    var loop = new Loop(items, length, depth, more -> again(node, more, depth + 1, around));
    boolean whole = false; // as in Jinja, else is for loops of which no turn came to its end
    while (loop.hasNext()) {
      budget.step();
      Object item = loop.next();
      scope = new Scope(around);
      scope.set("loop", loop);
      assign(node.target(), item);
      Flow flow = run(node.body());
      scope = around;
      if (flow == Flow.BREAK) {
        break;
      }
      whole |= flow == Flow.NEXT;
    }
    if (!whole) {
      runInside(node.otherwise());
    }
  }

  /** The items for which an expression holds, each looked at when it is asked for. */
  private Iterator<Object> where(
      Iterator<Object> items, Target target, Expression test, Scope around) {
    return new Filtered(
        items,
        item -> {
          Scope here = scope;
          scope = new Scope(around);
          assign(target, item);
          boolean holds = Values.truth(evaluate(test));
          scope = here;
          return holds;
        });
  }

  private Object again(Node.For node, Object over, int depth, Scope around) {
    if (!node.recursive()) {
      throw Failed.because("The loop must have the 'recursive' marker to be called recursively.");
    }
    return apart(around, () -> loop(node, over, depth));
  }

  /** The output of what runs on its own, in another place's variables. */
  private String apart(Scope around, Runnable body) {
    budget.enter();
    Scope here = scope;
    StringBuilder before = out;
    int at = line;
    scope = around;
    out = new StringBuilder();
    body.run();
    String made = out.toString();
    scope = here;
    out = before;
    line = at;
    budget.leave();
    return made;
  }

  private Object filtered(List<Statement> body, Expression filters, int at) {
    StringBuilder before = out;
    out = new StringBuilder();
    runInside(body);
    Object around = blockOutput;
    blockOutput = out.toString();
    out = before;
    line = at;
    Object value = evaluate(filters);
    blockOutput = around;
    return value;
  }

  private Flow with(Node.With with) {
    line = with.line();
    List<Object> given = with.values().stream().map(this::evaluate).toList();
    Scope around = scope;
    scope = new Scope(around);
    for (int i = 0; i < given.size(); i++) {
      assign(with.targets().get(i), given.get(i));
    }
    Flow flow = run(with.body());
    scope = around;
    return flow;
  }

  private void assign(Target target, Object value) {
    switch (target) {
      case Node.ToName to -> scope.set(to.name(), value);
      case Node.ToAttribute to -> {
        if (!(variable(to.namespace()) instanceof Namespace namespace)) {
          throw Failed.because("cannot assign attribute on non-namespace object");
        }
        namespace.attributes().put(to.attribute(), value);
      }
      case Node.ToTuple to -> {
        if (!Values.iterable(value)) {
          throw Failed.because(
              "cannot unpack non-iterable " + Values.typeName(value) + " object");
        }
        List<Object> items = values.list(value);
        int wanted = to.targets().size();
        if (items.size() != wanted) {
          throw Failed.because(
              items.size() > wanted
                  ? "too many values to unpack (expected " + wanted + ")"
                  : "not enough values to unpack (expected " + wanted + ", got " + items.size()
                      + ")");
        }
        for (int i = 0; i < wanted; i++) {
          assign(to.targets().get(i), items.get(i));
        }
      }
    }
  }

  // ---- expressions ----

  Object evaluate(Expression expression) {
    budget.step();
    return switch (expression) {
      case Node.Constant constant -> constant.value();
      case Node.Name name -> variable(name.name());
      case Node.ListOf list -> all(list.items());
      case Node.TupleOf tuple -> new Tuple(all(tuple.items()));
      case Node.DictOf dict -> {
        var made = new Dict();
        for (int i = 0; i < dict.keys().size(); i++) {
          made.put(evaluate(dict.keys().get(i)), evaluate(dict.values().get(i)));
        }
        yield made;
      }
      case Node.And and -> {
        Object left = evaluate(and.left());
        yield Values.truth(left) ? evaluate(and.right()) : left;
      }
      case Node.Or or -> {
        Object left = evaluate(or.left());
        yield Values.truth(left) ? left : evaluate(or.right());
      }
      case Node.Not not -> !Values.truth(evaluate(not.value()));
      case Node.Sign sign -> sign(sign);
      case Node.Binary binary ->
          values.binary(
              binary.operator(), evaluate(binary.left()), evaluate(binary.right()));
      case Node.Comparison comparison -> compare(comparison);
      case Node.Concat concat -> concat(concat.parts());
      case Node.Conditional choice -> conditional(choice);
      case Node.Attribute attribute -> attribute(evaluate(attribute.of()), attribute.name());
      case Node.Item item -> item(evaluate(item.of()), evaluate(item.key()));
      case Node.Slice slice ->
          values.slice(
              evaluate(slice.of()),
              slice.start().map(this::evaluate).orElse(None.NONE),
              slice.stop().map(this::evaluate).orElse(None.NONE),
              slice.step().map(this::evaluate).orElse(None.NONE));
      case Node.Call call -> call(call, Map.of());
      case Node.Filter filter -> {
        Object input = evaluate(filter.input());
        yield filter(filter.name(), input, ordered(filter.passed()), named(filter.passed()));
      }
      case Node.Test test -> {
        Object value = evaluate(test.value());
        yield test(test.name(), value, ordered(test.passed()), named(test.passed()));
      }
      case Node.BlockOutput _ -> blockOutput;
    };
  }

  private List<Object> all(List<Expression> expressions) {
    var list = new ArrayList<Object>(expressions.size());
    for (Expression expression : expressions) {
      list.add(evaluate(expression));
    }
    return list;
  }

  private Object variable(String name) {
    return scope
        .find(name)
        .orElseGet(
            () -> {
              Object global = Globals.TABLE.get(name);
              return global == null ? Undefined.variable(name) : global;
            });
  }

  private Object sign(Node.Sign sign) {
    Object value = evaluate(sign.value());
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (!Numbers.isNumber(value)) {
      throw Failed.because(
          "bad operand type for unary " + (sign.minus() ? "-" : "+") + ": '"
              + Values.typeName(value) + "'");
    }
    Object number = value instanceof Boolean b ? (Object) (b ? 1L : 0L) : value;
    return sign.minus() ? Numbers.negative(number) : number;
  }

  private Object compare(Node.Comparison comparison) {
    Object left = evaluate(comparison.first());
    for (Node.Compared next : comparison.rest()) {
      Object right = evaluate(next.value());
      if (!values.compare(next.operator(), left, right)) {
        return false;
      }
      left = right;
    }
    return true;
  }

  private Object concat(List<Expression> parts) {
    var joined = new StringBuilder();
    for (Expression part : parts) {
      joined.append(values.str(evaluate(part)));
    }
    budget.make(joined.length());
    return joined.toString();
  }

  private Object conditional(Node.Conditional choice) {
    if (Values.truth(evaluate(choice.test()))) {
      return evaluate(choice.then());
    }
    return choice
        .otherwise()
        .map(this::evaluate)
        .orElseGet(
            () ->
                new Undefined(
                    "the inline if-expression on line " + line
                        + " evaluated to false and no else section was defined."));
  }

  /** {@code value.name}: a method before a key. */
  Object attribute(Object value, String name) {
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    return Attributes.find(value, name)
        .or(() -> values.item(value, name))
        .orElseGet(() -> Attributes.missing(value, name));
  }

  /** {@code value[key]}: a key before a method. */
  Object item(Object value, Object key) {
    return values
        .item(value, key)
        .or(() -> key instanceof String name ? Attributes.find(value, name) : Optional.empty())
        .orElseGet(() -> Attributes.missing(value, key));
  }

  Object filter(String name, Object input, List<Object> ordered, Map<String, Object> named) {
    Function filter = Filters.TABLE.get(name);
    if (filter == null) {
      throw Failed.because("No filter named '" + name + "'.");
    }
    return filter.call(this, input, ordered, named);
  }

  boolean test(String name, Object value, List<Object> ordered, Map<String, Object> named) {
    Function test = Tests.TABLE.get(name);
    if (test == null) {
      throw Failed.because("No test named '" + name + "'.");
    }
    return Values.truth(test.call(this, value, ordered, named));
  }

  // ---- calls ----

  private Object call(Node.Call call, Map<String, Object> besides) {
    Object callee = evaluate(call.callee());
    List<Object> ordered = ordered(call.passed());
    Map<String, Object> named = named(call.passed());
    named.putAll(besides);
    return switch (callee) {
      case Function.Bound bound ->
          bound.function().call(this, bound.subject(), ordered, named);
      case Macro macro -> call(macro, ordered, named);
      case Loop loop -> loop.call(ordered.size() == 1 ? ordered.getFirst() : new Tuple(ordered));
      case Undefined undefined -> throw undefined.failure();
      default ->
          throw Failed.because("'" + Values.typeName(callee) + "' object is not callable");
    };
  }

  private List<Object> ordered(Passed passed) {
    if (passed.list().isEmpty()) {
      return all(passed.ordered());
    }
    var ordered = new ArrayList<>(all(passed.ordered()));
    ordered.addAll(values.list(evaluate(passed.list().get())));
    return ordered;
  }

  private Map<String, Object> named(Passed passed) {
    var named = new LinkedHashMap<String, Object>();
    for (Node.Named one : passed.named()) {
      named.put(one.name(), evaluate(one.value()));
    }
    if (passed.dict().isPresent()) {
      if (!(evaluate(passed.dict().get()) instanceof Dict dict)) {
        throw Failed.because("argument after ** must be a mapping");
      }
      for (Dict.Entry entry : dict.entries()) {
        if (!(entry.key() instanceof String name)) {
          throw Failed.because("keywords must be strings");
        }
        if (named.put(name, entry.value()) != null) {
          throw Failed.because("got multiple values for keyword argument '" + name + "'");
        }
      }
    }
    return named;
  }

  Object call(Macro macro, List<Object> ordered, Map<String, Object> named) {
    Node.Signature signature = macro.signature();
    List<String> parameters = signature.parameters();
    var rest = new LinkedHashMap<>(named);
    var bound = new Scope(macro.around());
    return apart(
        bound,
        () -> {
          int required = parameters.size() - signature.defaults().size();
          for (int i = 0; i < parameters.size(); i++) {
            String name = parameters.get(i);
            if (i < ordered.size()) {
              bound.set(name, ordered.get(i));
            } else if (rest.containsKey(name)) {
              bound.set(name, rest.remove(name));
            } else if (i < required) {
              bound.set(name, new Undefined("parameter '" + name + "' was not provided"));
            } else {
              bound.set(name, evaluate(signature.defaults().get(i - required)));
            }
          }
          special(macro, bound, ordered, rest);
          run(macro.body());
        });
  }

  /** What is passed beyond the parameters, where the body asks for it. */
  private static void special(
      Macro macro, Scope bound, List<Object> ordered, Map<String, Object> rest) {
    Node.Signature signature = macro.signature();
    String name = "macro '" + macro.name() + "'";
    int count = signature.parameters().size();
    if (signature.special().contains("caller")) {
      Object caller = rest.remove("caller");
      bound.set("caller", caller == null ? new Undefined("No caller defined") : caller);
    }
    if (signature.special().contains("kwargs")) {
      var dict = new Dict();
      rest.forEach(dict::put);
      bound.set("kwargs", dict);
    } else if (!rest.isEmpty()) {
      String key = rest.keySet().iterator().next();
      throw Failed.because(name + " takes no keyword argument '" + key + "'");
    }
    if (signature.special().contains("varargs")) {
      bound.set(
          "varargs",
          new Tuple(List.copyOf(ordered.subList(Math.min(count, ordered.size()), ordered.size()))));
    } else if (ordered.size() > count) {
      throw Failed.because(name + " takes not more than " + count + " argument(s)");
    }
  }

  /** Those of an iterator's items that pass a test, looked for as they are asked for. */
  static final class Filtered implements Iterator<Object> {
    private final Iterator<Object> items;
    private final java.util.function.Predicate<Object> test;
    private Optional<Object> next = Optional.empty();

    Filtered(Iterator<Object> items, java.util.function.Predicate<Object> test) {
      this.items = items;
      this.test = test;
    }

    @Override
    public boolean hasNext() {
      while (next.isEmpty() && items.hasNext()) {
        Object item = items.next();
        if (test.test(item)) {
          next = Optional.of(item);
        }
      }
      return next.isPresent();
    }

    @Override
    public Object next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      Object item = next.get();
      next = Optional.empty();
      return item;
    }
  }
}
