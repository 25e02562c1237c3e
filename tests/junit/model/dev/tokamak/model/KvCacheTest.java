// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.backend.Batch;
import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Limits;
import dev.tokamak.testing.Seeds;
import java.lang.foreign.Arena;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class KvCacheTest {
  private static final Limits LIMITS = new Limits(8, 8, 3, 4, 12);

  /** However sequences grow, shrink and end, no two of them share a page. */
  @Test
  void pagesBelongToOneSequence() {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined()) {
            Batch batch = new Batch(LIMITS, arena);
            KvCache cache = new KvCache(LIMITS, batch);
            int[] lengths = new int[3];
            for (int i = 0; i < 3; i++) {
              assertThat(cache.begin()).isEqualTo(i);
            }
            for (int step = 0; step < 2000; step++) {
              int sequence = random.nextInt(3);
              switch (random.nextInt(10)) {
                case 0 -> {
                  lengths[sequence] = random.nextInt(lengths[sequence] + 1);
                  cache.truncate(sequence, lengths[sequence]);
                }
                case 1 -> {
                  cache.end(sequence);
                  assertThat(cache.begin()).isEqualTo(sequence);
                  lengths[sequence] = 0;
                }
                default -> {
                  if (lengths[sequence] < 4 * CacheShape.PAGE_TOKENS) {
                    assertThat(cache.append(sequence)).isEqualTo(lengths[sequence]++);
                  }
                }
              }
              assertThat(pages(batch, lengths)).hasSize(pagesOf(lengths));
            }
          }
        });
  }

  private static Set<Integer> pages(Batch batch, int[] lengths) {
    Set<Integer> pages = new HashSet<>();
    for (int sequence = 0; sequence < lengths.length; sequence++) {
      for (int p = 0; p < lengths[sequence]; p += CacheShape.PAGE_TOKENS) {
        pages.add(batch.pageOf(sequence, p));
      }
    }
    return pages;
  }

  private static int pagesOf(int[] lengths) {
    int pages = 0;
    for (int length : lengths) {
      pages += KvCache.pagesFor(length);
    }
    return pages;
  }

  @Test
  void misuseIsRefused() {
    try (Arena arena = Arena.ofConfined()) {
      KvCache cache = new KvCache(LIMITS, new Batch(LIMITS, arena));
      assertThatThrownBy(() -> cache.append(0)).hasMessage("sequence 0 is not in use");
      for (int i = 0; i < 3; i++) {
        cache.begin();
      }
      assertThatThrownBy(cache::begin).hasMessage("all 3 sequences are in use");
      for (int i = 0; i < 4 * CacheShape.PAGE_TOKENS; i++) {
        cache.append(1);
      }
      assertThatThrownBy(() -> cache.append(1)).hasMessage("context full: length=64");
      assertThatThrownBy(() -> cache.truncate(1, 65)).hasMessageContaining("65");
    }
  }
}
