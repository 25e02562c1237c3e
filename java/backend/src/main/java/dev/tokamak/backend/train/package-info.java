// SPDX-License-Identifier: Apache-2.0

/**
 * Programs of gradients. A {@link dev.tokamak.backend.train.TrainingProgram} is derived from the
 * program that inference runs; {@link dev.tokamak.backend.train.TrainingOperation} lists what it
 * consists of, each operation with its shapes and its gradient. A backend makes a {@link
 * dev.tokamak.backend.train.TrainingReplay} of it.
 *
 * <p>What every backend keeps to:
 *
 * <ul>
 *   <li>weights, gradients, moments and values are float32; in BF16 arithmetic operands of products
 *       ({@code matmul} and its two gradients; on {@code cuda} those of attention too) are rounded to
 *       bfloat16 when they are read, sums are not
 *   <li>gradients of parameters are added to, and zero after an update; those of values are written
 *   <li>the order of every sum follows from the shapes and the batch alone: the same bits with any
 *       number of threads
 *   <li>a batch is checked before anything is read by it; a forward pass with a value that is not
 *       finite names the operation; an update with such a gradient changes nothing
 * </ul>
 */
package dev.tokamak.backend.train;
