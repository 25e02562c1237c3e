// SPDX-License-Identifier: Apache-2.0

/**
 * Text to token ids and back. {@link dev.tokamak.model.tokenizer.Tokenizer} is made from the
 * metadata of a GGUF file; a {@code tokenizer.json} and a SentencePiece {@code .model} are read as
 * the metadata that a GGUF file of them would have, and messages about them name its keys. A {@link
 * dev.tokamak.model.tokenizer.TokenizerTrainer} makes a new one. These keys describe it:
 *
 * <table>
 * <caption>Keys, after {@code tokenizer.ggml.}</caption>
 * <tr><th>key</th><th>type</th><th>meaning</th></tr>
 * <tr><td>model</td><td>string</td><td>{@code llama}: {@link
 *     dev.tokamak.model.tokenizer.SentencePiece}; {@code gpt2}: {@link
 *     dev.tokamak.model.tokenizer.Bpe}; {@code t5}: {@link
 *     dev.tokamak.model.tokenizer.Unigram}; {@code bert}: {@link
 *     dev.tokamak.model.tokenizer.WordPiece}</td></tr>
 * <tr><td>tokens</td><td>array of string</td><td>text of each token; no two alike</td></tr>
 * <tr><td>token_type</td><td>array of integers</td><td>kind of each token, by {@link
 *     dev.tokamak.model.tokenizer.TokenKind#code}; left out: all normal</td></tr>
 * <tr><td>scores</td><td>array of numbers</td><td>llama: the higher, the sooner a token is
 *     made; t5: logarithms of probabilities</td></tr>
 * <tr><td>merges</td><td>array of string</td><td>gpt2: {@code left right}, in order of
 *     precedence</td></tr>
 * <tr><td>pre</td><td>string</td><td>gpt2: how a text is split into words; left out: {@code
 *     default}</td></tr>
 * <tr><td>bos_token_id, eos_token_id, unknown_token_id</td><td>integer</td><td>left out: 1, 2 and
 *     0 for llama, none for gpt2, none, 1 and 2 for t5, 101, 102 and 100 for bert</td></tr>
 * <tr><td>cls_token_id, seperator_token_id</td><td>integer</td><td>bert: other names of BOS and
 *     EOS</td></tr>
 * <tr><td>eot_token_id, eom_token_id, fim_pad_token_id, fim_rep_token_id, fim_sep_token_id</td>
 *     <td>integer</td><td>further tokens that end a generation; tokens of well-known names do
 *     too</td></tr>
 * <tr><td>add_bos_token, add_eos_token</td><td>bool</td><td>whether a text gets them; left out:
 *     BOS, if there is one, for llama, bert and some pre-tokenizers of gpt2 (llama-bpe, tekken);
 *     EOS for t5 and bert</td></tr>
 * <tr><td>add_space_prefix</td><td>bool</td><td>llama, t5: a space goes in front of a text;
 *     left out: true for llama, false for t5</td></tr>
 * <tr><td>remove_extra_whitespaces</td><td>bool</td><td>llama, t5: runs of spaces are one, none
 *     at begin and end; left out: false</td></tr>
 * <tr><td>precompiled_charsmap</td><td>array of bytes</td><td>llama, t5: how a text is normalised
 *     first; left out: not at all</td></tr>
 * </table>
 *
 * <p>Three keys are Tokamak's own, for what a {@code tokenizer.json} says and GGUF has no key for;
 * llama.cpp passes over them: {@code tokenizer.tokamak.normalizer} (gpt2: NFC, NFD, NFKC or NFKD,
 * to which a text is brought first), {@code tokenizer.tokamak.space_prefix_once} (llama: a space
 * goes in front of the whole text only, not after special tokens, and only where none is; left out:
 * false) and {@code tokenizer.tokamak.lowercase} (bert: whether letters are made small; left out:
 * true).
 *
 * <p>Behaviour is that of llama.cpp where the model's own tokenizer does not say otherwise. Known
 * differences: of overlapping special tokens the leftmost is taken (llama.cpp: the longest in the
 * text); a control token's name in a text is not that token without {@code parseSpecial}; in
 * decoding, spaces before punctuation are kept (but for bert), and the space in front of a text is
 * left out after BOS too; t5 spells characters that have no token by byte tokens, if there are any
 * (llama.cpp: unknown). No Unicode normalisation is done unless a key says so: GGUF files made
 * elsewhere do not say that their model wants NFC (Qwen's do). Hugging Face's tokenizers apply a
 * precompiled table of replacements to whole grapheme clusters, SentencePiece and this package to
 * the longest sequence that the table knows; they differ in some combining marks.
 */
package dev.tokamak.model.tokenizer;
