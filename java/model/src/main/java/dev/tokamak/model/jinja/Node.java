// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.List;
import java.util.Optional;
import java.util.Set;

/** The tree of a template. */
sealed interface Node {
  /** Something with a value. */
  sealed interface Expression extends Node {}

  record Constant(Object value) implements Expression {}

  record Name(String name) implements Expression {}

  record ListOf(List<Expression> items) implements Expression {}

  record TupleOf(List<Expression> items) implements Expression {}

  record DictOf(List<Expression> keys, List<Expression> values) implements Expression {}

  record And(Expression left, Expression right) implements Expression {}

  record Or(Expression left, Expression right) implements Expression {}

  record Not(Expression value) implements Expression {}

  /** {@code +} or {@code -} in front. */
  record Sign(boolean minus, Expression value) implements Expression {}

  record Binary(String operator, Expression left, Expression right) implements Expression {}

  /** {@code a < b <= c}: true if each pair is. */
  record Comparison(Expression first, List<Compared> rest) implements Expression {}

  record Compared(String operator, Expression value) implements Node {}

  /** Texts joined by {@code ~}. */
  record Concat(List<Expression> parts) implements Expression {}

  record Conditional(Expression test, Expression then, Optional<Expression> otherwise)
      implements Expression {}

  record Attribute(Expression of, String name) implements Expression {}

  record Item(Expression of, Expression key) implements Expression {}

  record Slice(
      Expression of,
      Optional<Expression> start,
      Optional<Expression> stop,
      Optional<Expression> step)
      implements Expression {}

  record Call(Expression callee, Passed passed) implements Expression {}

  record Filter(Expression input, String name, Passed passed) implements Expression {}

  record Test(Expression value, String name, Passed passed) implements Expression {}

  /** What a call passes: in order, by name, {@code *list} and {@code **dict}. */
  record Passed(
      List<Expression> ordered,
      List<Named> named,
      Optional<Expression> list,
      Optional<Expression> dict)
      implements Node {
    static final Passed NOTHING =
        new Passed(List.of(), List.of(), Optional.empty(), Optional.empty());
  }

  record Named(String name, Expression value) implements Node {}

  /** What a block's output becomes when it is done: the input of a filter. */
  record BlockOutput() implements Expression {}

  /** Where a value goes. */
  sealed interface Target extends Node {}

  record ToName(String name) implements Target {}

  record ToTuple(List<Target> targets) implements Target {}

  /** {@code namespace.attribute}. */
  record ToAttribute(String namespace, String attribute) implements Target {}

  /** Something to do; its line is where it begins, from 1. */
  sealed interface Statement extends Node {}

  record Literal(String text) implements Statement {}

  record Print(Expression value, int line) implements Statement {}

  record If(List<Branch> branches, List<Statement> otherwise) implements Statement {}

  record Branch(Expression test, List<Statement> body, int line) implements Node {}

  record For(
      Target target,
      Expression over,
      Optional<Expression> where,
      List<Statement> body,
      List<Statement> otherwise,
      boolean recursive,
      int line)
      implements Statement {}

  record Assign(Target target, Expression value, int line) implements Statement {}

  /** {@code {% set x %}…{% endset %}}, its output through filters if there are any. */
  record SetBlock(Target target, Expression value, List<Statement> body, int line)
      implements Statement {}

  record FilterBlock(Expression value, List<Statement> body, int line) implements Statement {}

  record With(List<Target> targets, List<Expression> values, List<Statement> body, int line)
      implements Statement {}

  record Macro(String name, Signature signature, List<Statement> body) implements Statement {}

  /**
   * A macro's parameters.
   *
   * @param defaults of the last ones
   * @param special which of {@code caller}, {@code varargs} and {@code kwargs} the body reads
   */
  record Signature(List<String> parameters, List<Expression> defaults, Set<String> special)
      implements Node {}

  /** A call with a block that the macro may call back as {@code caller()}. */
  record CallBlock(Signature signature, Call call, List<Statement> body, int line)
      implements Statement {}

  /** What the assistant wrote: marked for training. */
  record Generation(List<Statement> body) implements Statement {}

  record Break() implements Statement {}

  record Continue() implements Statement {}
}
