// SPDX-License-Identifier: Apache-2.0

/**
 * How a model comes to be. A {@link dev.tokamak.train.Source} gives the examples of each step; the
 * backend computes the log probabilities of their targets; an {@link dev.tokamak.train.Objective}
 * makes a loss of these, and its derivatives; the backend's gradients change the weights. Stages
 * differ in source and objective only, and all go through one {@code Trainer}, which tells a
 * listener what happens as {@link dev.tokamak.train.TrainEvent}s. The recipes in {@code recipe} are
 * the stages from top to bottom.
 *
 * <p>The same configuration and seed give the same bits of weights, with any number of threads, and
 * also if the training was stopped and resumed on the way.
 */
package dev.tokamak.train;
