// SPDX-License-Identifier: Apache-2.0

/**
 * How good a model is: bits per byte of texts, multiple choice, minimal pairs, generation checked by
 * rule, and in-context learning. Each task takes its cases as records, so that whoever has them can
 * run it; the command {@code evaluate} reads them from files.
 */
package dev.tokamak.generate.evaluate;
