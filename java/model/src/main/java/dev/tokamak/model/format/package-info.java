// SPDX-License-Identifier: Apache-2.0

/**
 * Model files: what every format shares. {@link dev.tokamak.model.format.Metadata} is the typed
 * view of a file's keys and values, {@link dev.tokamak.model.format.FormatException} is what any
 * reader throws for a file that is not as it should be. A format has a package of its own below
 * this one, whose page is the byte table of that format.
 */
package dev.tokamak.model.format;
