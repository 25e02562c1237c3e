// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

/**
 * Makes a vocabulary of a given size from documents. The same documents, in any order, give the
 * same vocabulary. Not to be shared between threads.
 */
public sealed interface TokenizerTrainer permits BpeTrainer, UnigramTrainer {
  /**
   * Counts a document's words. The names of control tokens in it are not text and part it.
   *
   * @throws IllegalArgumentException if the document is longer than 2^28 characters
   */
  void add(String document);

  /**
   * The tokenizer that the documents so far give.
   *
   * @throws IllegalArgumentException if they are too few for the size of the vocabulary; the
   *     message says what size they reach
   */
  Tokenizer train();
}
