// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

/**
 * What a prepared program must have room for; all memory is taken once, by these numbers.
 *
 * @param rows tokens in a step, at most
 * @param outputs rows with logits in a step, at most
 * @param sequences rows of the page table
 * @param pagesPerSequence columns of the page table
 * @param pages pages in the cache, shared by all sequences
 */
public record Limits(int rows, int outputs, int sequences, int pagesPerSequence, int pages) {
  public Limits {
    if (rows <= 0 || outputs <= 0 || sequences <= 0 || pagesPerSequence <= 0 || pages <= 0) {
      throw new BackendException(
          "limits: rows=" + rows + ", outputs=" + outputs + ", sequences=" + sequences
              + ", pagesPerSequence=" + pagesPerSequence + ", pages=" + pages
              + " must be positive");
    }
  }
}
