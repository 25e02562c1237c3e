// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Failure;
import dev.tokamak.train.ConfigException;
import dev.tokamak.train.Stage;
import dev.tokamak.train.TrainConfig;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.composer.Composer;
import org.snakeyaml.engine.v2.constructor.StandardConstructor;
import org.snakeyaml.engine.v2.exceptions.DuplicateKeyException;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.parser.ParserImpl;
import org.snakeyaml.engine.v2.scanner.StreamReader;
import org.snakeyaml.engine.v2.schema.CoreSchema;

/** A training's configuration in YAML 1.2; what is wrong with it names the line. */
final class ConfigFile {
  private static final int DEEPEST = 16;

  private final String source;
  private final String text;
  private final Map<String, Integer> lines = new HashMap<>();
  private final Map<?, ?> values;

  ConfigFile(Path path) {
    source = path.toString();
    text = TextSource.file(path);
    LoadSettings settings =
        LoadSettings.builder().setLabel(source).setSchema(new CoreSchema()).build();
    try {
      Optional<Node> root =
          new Composer(settings, new ParserImpl(settings, new StreamReader(settings, text)))
              .getSingleNode();
      root.ifPresent(node -> lines("", node, 0));
      Object value =
          root.isEmpty() ? Map.of() : new StandardConstructor(settings).constructSingleDocument(root);
      if (!(value instanceof Map<?, ?> map)) {
        throw new Failure(source + ": expected keys with values, such as steps: 100");
      }
      values = map;
    } catch (MarkedYamlEngineException e) {
      throw new Failure(source + ": " + place(e.getProblemMark()) + problem(e), e);
    } catch (YamlEngineException e) {
      throw new Failure(source + ": not YAML: " + e.getMessage(), e);
    }
  }

  /** The configuration of a stage; the files that it names are there. */
  TrainConfig read(Stage stage) {
    try {
      TrainConfig config = TrainConfig.of(stage, values, source);
      config.requireFiles();
      return config;
    } catch (ConfigException e) {
      Optional<Integer> line = lineOf(e.path());
      throw line.isPresent() ? e.atLine(line.get()) : e;
    }
  }

  /** As it stands in the file. */
  String text() {
    return text;
  }

  /** The line of a key, or, where it is missing, of the section that it belongs to. */
  private Optional<Integer> lineOf(String path) {
    for (String at = path; !at.isEmpty(); at = at.substring(0, Math.max(0, at.lastIndexOf('.')))) {
      if (lines.containsKey(at)) {
        return Optional.of(lines.get(at));
      }
    }
    return Optional.empty();
  }

  private void lines(String section, Node node, int depth) {
    if (!(node instanceof MappingNode mapping)) {
      return;
    }
    if (depth > DEEPEST) { // an alias may lead into itself
      throw new Failure(source + ": sections nested deeper than " + DEEPEST);
    }
    for (NodeTuple entry : mapping.getValue()) {
      if (entry.getKeyNode() instanceof ScalarNode key) {
        String path = section.isEmpty() ? key.getValue() : section + "." + key.getValue();
        key.getStartMark().ifPresent(mark -> lines.put(path, mark.getLine() + 1));
        lines(path, entry.getValueNode(), depth + 1);
      }
    }
  }

  private static String place(Optional<Mark> mark) {
    return mark.map(m -> "line " + (m.getLine() + 1) + ": ").orElse("");
  }

  private static String problem(MarkedYamlEngineException e) {
    return e instanceof DuplicateKeyException
        ? e.getProblem().replaceFirst("^found duplicate key (.*)$", "$1: stands twice")
        : "not YAML: " + e.getProblem();
  }
}
