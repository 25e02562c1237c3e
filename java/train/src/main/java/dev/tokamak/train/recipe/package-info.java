// SPDX-License-Identifier: Apache-2.0

/** The stages of a model's life, one program each, to be read from top to bottom. */
package dev.tokamak.train.recipe;
