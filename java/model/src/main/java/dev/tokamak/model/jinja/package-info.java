// SPDX-License-Identifier: Apache-2.0

/**
 * The language of chat templates: Jinja2 3.1, as Hugging Face's transformers sets it up, without
 * other files. {@link dev.tokamak.model.jinja.Template} is all that others need; behind it a lexer
 * and a parser make a tree of records ({@code Node}), which an interpreter walks over values with
 * Python's semantics ({@code Values}). Filters, tests and methods are rows of tables.
 *
 * <p>Source: the documentation of Jinja 3.1, <a
 * href="https://jinja.palletsprojects.com/en/stable/templates/">Template Designer</a>, and of
 * Python's built-in types. Not there: {@code include}, {@code import}, {@code extends} and
 * {@code block}, {@code autoescape}, bytes, the filters {@code random}, {@code urlize} and {@code
 * xmlattr}. {@code escape} gives a plain text.
 */
package dev.tokamak.model.jinja;
