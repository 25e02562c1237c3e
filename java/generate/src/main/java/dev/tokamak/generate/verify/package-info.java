// SPDX-License-Identifier: Apache-2.0

/** Rules that decide by code whether an answer is right: for evaluation and for rewards. */
package dev.tokamak.generate.verify;
