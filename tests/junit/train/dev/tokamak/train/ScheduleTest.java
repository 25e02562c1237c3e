// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class ScheduleTest {
  @Test
  void cosineRisesAndFallsToItsEnd() {
    Schedule cosine = new Schedule.Cosine(2, 0.1, 4, 15);
    assertThat(cosine.rate(0)).isEqualTo(0.5);
    assertThat(cosine.rate(3)).isEqualTo(2);
    assertThat(cosine.rate(4)).isEqualTo(2);
    assertThat(cosine.rate(9)).isEqualTo(1.1, within(1e-12));
    assertThat(cosine.rate(14)).isEqualTo(0.2, within(1e-12));
  }

  @Test
  void wsdIsStableAndThenFalls() {
    Schedule wsd = new Schedule.Wsd(2, 0, 2, 4, 10);
    assertThat(wsd.rate(0)).isEqualTo(1);
    assertThat(wsd.rate(2)).isEqualTo(2);
    assertThat(wsd.rate(5)).isEqualTo(2);
    assertThat(wsd.rate(6)).isEqualTo(1.5);
    assertThat(wsd.rate(9)).isEqualTo(0);
  }

  @Test
  void awkwardLengthsStayWithinBounds() {
    for (Schedule schedule :
        new Schedule[] {
          new Schedule.Cosine(1, 0.1, 0, 1),
          new Schedule.Cosine(1, 0.1, 5, 3),
          new Schedule.Wsd(1, 0.1, 0, 0, 3),
          new Schedule.Wsd(1, 0.1, 0, 3, 3),
        }) {
      for (long step = 0; step < 3; step++) {
        assertThat(schedule.rate(step)).isBetween(0.0999999, 1.0);
      }
    }
  }
}
