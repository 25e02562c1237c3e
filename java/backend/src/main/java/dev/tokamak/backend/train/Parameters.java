// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import dev.tokamak.backend.BackendException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * All parameters of a model and where each lies in their one float32 array: those that are trained
 * in front, then those that are frozen, each group in the order of its recording. Floats between
 * two parameters are zero and stay so.
 */
public final class Parameters {
  private final Map<String, Parameter> byName;
  private final long size;
  private final long trainableSize;

  private Parameters(Map<String, Parameter> byName, long size, long trainableSize) {
    this.byName = Collections.unmodifiableMap(byName);
    this.size = size;
    this.trainableSize = trainableSize;
  }

  public static Builder builder() {
    return new Builder();
  }

  /** In the order of the array. */
  public List<Parameter> list() {
    return List.copyOf(byName.values());
  }

  /** Those that have a gradient, in the order of the array. */
  public List<Parameter> trainable() {
    return byName.values().stream().filter(Parameter::trainable).toList();
  }

  public Optional<Parameter> find(String name) {
    return Optional.ofNullable(byName.get(name));
  }

  /**
   * The parameter of that name.
   *
   * @throws BackendException if there is none
   */
  public Parameter get(String name) {
    return find(name)
        .orElseThrow(() -> new BackendException("parameters: none is named " + name));
  }

  /** Floats of the whole array: the weights. */
  public long size() {
    return size;
  }

  /** Floats of its trainable part: gradients and moments. */
  public long trainableSize() {
    return trainableSize;
  }

  /** Collects parameters, in any order of trainable and frozen ones. */
  public static final class Builder {
    private record Entry(
        String name, int rows, int cols, Parameter.Role role, boolean trainable) {}

    private final List<Entry> entries = new ArrayList<>();

    private Builder() {}

    /**
     * Adds a parameter.
     *
     * @return this
     */
    public Builder add(
        String name, int rows, int cols, Parameter.Role role, boolean trainable) {
      entries.add(new Entry(name, rows, cols, role, trainable));
      return this;
    }

    /**
     * Lays them out.
     *
     * @throws BackendException if two have one name
     */
    public Parameters build() {
      Map<String, Parameter> byName = new LinkedHashMap<>();
      long trainableSize = place(true, 0, byName);
      long size = place(false, trainableSize, byName);
      return new Parameters(byName, size, trainableSize);
    }

    private long place(boolean trainable, long from, Map<String, Parameter> byName) {
      long at = from;
      for (Entry e : entries) {
        if (e.trainable == trainable) {
          var parameter = new Parameter(e.name, e.rows, e.cols, e.role, trainable, at);
          if (byName.putIfAbsent(e.name, parameter) != null) {
            throw new BackendException("parameters: two are named " + e.name);
          }
          at = Math.addExact(at, aligned(parameter.size()));
        }
      }
      return at;
    }
  }

  /** Up to a whole number of cache lines. */
  static long aligned(long floats) {
    return Math.addExact(floats, Parameter.ALIGNMENT - 1L) & -Parameter.ALIGNMENT;
  }
}
