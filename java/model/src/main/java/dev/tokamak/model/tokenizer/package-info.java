// SPDX-License-Identifier: Apache-2.0

/**
 * Text to token ids and back. {@link dev.tokamak.model.tokenizer.Tokenizer} is made from the
 * metadata of a GGUF file; these keys describe it:
 *
 * <table>
 * <caption>Keys, after {@code tokenizer.ggml.}</caption>
 * <tr><th>key</th><th>type</th><th>meaning</th></tr>
 * <tr><td>model</td><td>string</td><td>{@code llama}: {@link
 *     dev.tokamak.model.tokenizer.SentencePiece}; {@code gpt2}: {@link
 *     dev.tokamak.model.tokenizer.Bpe}</td></tr>
 * <tr><td>tokens</td><td>array of string</td><td>text of each token; no two alike</td></tr>
 * <tr><td>token_type</td><td>array of integers</td><td>kind of each token, by {@link
 *     dev.tokamak.model.tokenizer.TokenKind#code}; left out: all normal</td></tr>
 * <tr><td>scores</td><td>array of numbers</td><td>llama: the higher, the sooner a token is
 *     made</td></tr>
 * <tr><td>merges</td><td>array of string</td><td>gpt2: {@code left right}, in order of
 *     precedence</td></tr>
 * <tr><td>pre</td><td>string</td><td>gpt2: how a text is split into words; left out: {@code
 *     default}</td></tr>
 * <tr><td>bos_token_id, eos_token_id, unknown_token_id</td><td>integer</td><td>left out: 1, 2 and
 *     0 for llama, none for gpt2</td></tr>
 * <tr><td>eot_token_id, eom_token_id, fim_pad_token_id, fim_rep_token_id, fim_sep_token_id</td>
 *     <td>integer</td><td>further tokens that end a generation; tokens of well-known names do
 *     too</td></tr>
 * <tr><td>add_bos_token, add_eos_token</td><td>bool</td><td>whether a text gets them; left out:
 *     BOS, if there is one, for llama and some pre-tokenizers of gpt2 (llama-bpe, tekken), no
 *     EOS</td></tr>
 * <tr><td>add_space_prefix</td><td>bool</td><td>llama: a space goes in front of a text; left out:
 *     true</td></tr>
 * <tr><td>remove_extra_whitespaces</td><td>bool</td><td>llama: runs of spaces are one, none at
 *     begin and end; left out: false</td></tr>
 * </table>
 *
 * <p>Behaviour is that of llama.cpp where the model's own tokenizer does not say otherwise. Known
 * differences: of overlapping special tokens the leftmost is taken (llama.cpp: the longest in the
 * text); a control token's name in a text is not that token without {@code parseSpecial}; in
 * decoding, spaces before punctuation are kept, and the space in front of a text is left out after
 * BOS too. No Unicode normalisation is done: a file does not say that its model wants NFC (Qwen's
 * do).
 */
package dev.tokamak.model.tokenizer;
