// SPDX-License-Identifier: Apache-2.0

/**
 * What is done with a model at run time. A {@link dev.tokamak.generate.Session} is one
 * conversation; a {@link dev.tokamak.generate.Batcher} runs many generations side by side, and is
 * the loop of both: a step runs the tokens that are not in the cache yet, a {@link
 * dev.tokamak.generate.Sampler}, or the backend in its place, chooses the next one from the logits,
 * and its text is told to a listener as {@link dev.tokamak.generate.Event}s. A {@link
 * dev.tokamak.generate.Scorer} looks at given tokens without adding any.
 *
 * <p>The same model, prompt, options and backend give the same tokens and the same bits of logits,
 * whatever else is in the batch and however the prompt is cut into steps.
 */
package dev.tokamak.generate;
