// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.model.tokenizer.BpeTrainer;
import dev.tokamak.model.tokenizer.ControlTokens;
import dev.tokamak.model.tokenizer.Tokenizer;
import dev.tokamak.model.tokenizer.TokenizerTrainer;
import dev.tokamak.model.tokenizer.UnigramTrainer;
import dev.tokamak.train.ConfigException;
import dev.tokamak.train.ConfigKey.Weighted;
import dev.tokamak.train.TrainConfig;
import dev.tokamak.train.TrainConfig.TokenizerOrigin;
import dev.tokamak.train.TrainListener;
import java.util.ArrayList;
import java.util.List;

/** The tokenizer of a model that is made new. */
public final class NewTokenizer {
  private NewTokenizer() {}

  /**
   * Reads the tokenizer that a configuration names, or trains it on the configuration's data: the
   * same one each time.
   *
   * @param listener may end that
   * @throws ConfigException if the data is too little for the vocabulary
   * @throws dev.tokamak.model.format.FormatException if a file is not what it should be
   */
  public static Tokenizer of(TrainConfig config, TrainListener listener) {
    return switch (config.tokenizer().orElseThrow()) {
      case TokenizerOrigin.OfFile(var path) -> Tokenizer.open(path);
      case TokenizerOrigin.Trained origin -> train(config, origin, listener);
    };
  }

  private static Tokenizer train(
      TrainConfig config, TokenizerOrigin.Trained origin, TrainListener listener) {
    ControlTokens chat = ControlTokens.chat();
    List<String> names = new ArrayList<>(chat.names());
    names.addAll(origin.special());
    var control = new ControlTokens(names, chat.bos(), chat.eos(), chat.addBos());
    try {
      TokenizerTrainer trainer =
          switch (origin.algorithm()) {
            case BPE -> new BpeTrainer(origin.vocabulary(), control, origin.split());
            case UNIGRAM -> new UnigramTrainer(origin.vocabulary(), control, origin.split());
          };
      for (Weighted file : config.data().train()) {
        Documents.read(
            file.file(),
            (text, _) -> {
              listener.goOn();
              trainer.add(text);
            });
      }
      return trainer.train();
    } catch (IllegalArgumentException e) {
      throw new ConfigException(config.source(), "tokenizer.vocab", e.getMessage());
    }
  }
}
