// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.machine;

import dev.tokamak.backend.BackendException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Processors by their numbers, as Linux and {@code taskset -c} write them: {@code 0,2-5}.
 *
 * @param cpus at least one, none twice, in the order given
 */
public record CpuList(List<Integer> cpus) {
  /** Linux counts no more. */
  private static final int MOST = 8192;

  private static final Pattern PART = Pattern.compile("(\\d{1,4})(?:-(\\d{1,4}))?");

  public CpuList {
    cpus = List.copyOf(cpus);
    Set<Integer> seen = new HashSet<>();
    for (int cpu : cpus) {
      if (cpu < 0 || cpu >= MOST) {
        throw new BackendException(
            "expected processors from 0 to " + (MOST - 1) + ", found " + cpu);
      }
      if (!seen.add(cpu)) {
        throw new BackendException("expected each processor once, found " + cpu + " twice");
      }
    }
    if (cpus.isEmpty()) {
      throw new BackendException("expected at least one processor");
    }
  }

  public static CpuList of(int... cpus) {
    return new CpuList(Arrays.stream(cpus).boxed().toList());
  }

  /**
   * Reads the text form.
   *
   * @throws BackendException if it is none
   */
  public static CpuList parse(String text) {
    List<Integer> cpus = new ArrayList<>();
    for (String part : text.strip().split(",", -1)) {
      Matcher range = PART.matcher(part);
      if (!range.matches()) {
        throw new BackendException("expected processors such as 0,2-5, found '" + text + "'");
      }
      int first = Integer.parseInt(range.group(1));
      int last = range.group(2) == null ? first : Integer.parseInt(range.group(2));
      if (last < first) {
        throw new BackendException("expected a rising range of processors, found '" + part + "'");
      }
      for (int cpu = first; cpu <= last; cpu++) {
        cpus.add(cpu);
      }
    }
    return new CpuList(cpus);
  }

  /** The text form. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < cpus.size(); i++) {
      int first = i;
      while (i + 1 < cpus.size() && cpus.get(i + 1) == cpus.get(i) + 1) {
        i++;
      }
      text.append(first == 0 ? "" : ",").append(cpus.get(first));
      if (i > first) {
        text.append(i == first + 1 ? "," : "-").append(cpus.get(i));
      }
    }
    return text.toString();
  }
}
