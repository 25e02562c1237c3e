// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.Iterator;

/** Python's generator: gives its values once, as they are asked for; always true. */
record Lazy(Iterator<Object> values) {}
