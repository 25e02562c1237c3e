// SPDX-License-Identifier: Apache-2.0

/**
 * From files to examples. {@link dev.tokamak.train.data.Documents} streams text files and JSON
 * lines; {@link dev.tokamak.train.data.TokenShard}s keep what they are in tokens, memory-mapped,
 * each made once; {@link dev.tokamak.train.data.TrainingData} takes examples from them in an order
 * that the seed and the position alone decide.
 *
 * <h2>A token shard</h2>
 *
 * Little-endian. A sequence is a document, a conversation, or one answer of a pair.
 *
 * <pre>
 * offset  size          what
 * 0       8             "TKMSHARD"
 * 8       4             version, 2
 * 12      4             bytes of a token: 2, or 4 where tokens carry a mark
 * 16      8             sequences s
 * 24      8             tokens t
 * 32      8             bytes of the text that they were made from
 * 40      8             sequences that were cut at their end
 * 48      8             sequences or pairs left out: nothing to learn from was left
 * 56      8             sources, tokenizer and settings: the name's part
 * 64      8             CRC-32C of all that follows
 * 72      t * width     tokens; of width 4, bit 31 marks those that are predicted
 * …       to 8          zero
 * …       (s + 1) * 8   where each sequence begins, in tokens; then t
 * </pre>
 */
package dev.tokamak.train.data;
