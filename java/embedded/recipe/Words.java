// SPDX-License-Identifier: Apache-2.0
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/** Words of small children's stories, and drawing from them. */
final class Words {
  static final List<String> NAMES =
      List.of(
          "Lily", "Tom", "Mia", "Ben", "Sue", "Max", "Anna", "Tim", "Sara", "Jack", "Lucy", "Sam",
          "Ella", "Leo", "Amy", "Bob", "Kate", "Dan", "Rose", "Nick", "Zoe", "Joe", "Emma", "Finn");
  static final List<String> THINGS =
      List.of(
          "ball", "kite", "book", "cup", "hat", "box", "doll", "car", "boat", "drum", "bell",
          "spoon", "blanket", "basket", "ring", "key", "lamp", "train", "puzzle", "flute", "coat",
          "scarf", "stone", "shell", "map", "cookie", "apple", "pear", "flower", "leaf");
  static final List<String> ANIMALS =
      List.of(
          "cat", "dog", "bird", "frog", "duck", "rabbit", "bear", "horse", "cow", "fish", "mouse",
          "fox", "pig", "sheep", "hen", "owl", "bee", "ant", "turtle", "goat");
  static final List<String> COLORS =
      List.of(
          "red", "blue", "green", "yellow", "pink", "black", "white", "brown", "orange", "purple");
  static final List<String> PLACES =
      List.of(
          "park", "garden", "kitchen", "forest", "beach", "school", "barn", "shop", "castle",
          "river", "hill", "zoo", "attic", "farm", "lake", "library");
  static final List<String> FOODS =
      List.of(
          "cake", "soup", "bread", "rice", "pie", "cheese", "eggs", "honey", "carrots", "berries");

  private Words() {}

  static <T> T one(List<T> from, SplittableRandom random) {
    return from.get(random.nextInt(from.size()));
  }

  /** Different ones, in random order. */
  static <T> List<T> some(List<T> from, int count, SplittableRandom random) {
    var rest = new ArrayList<>(from);
    var drawn = new ArrayList<T>();
    for (int i = 0; i < count; i++) {
      drawn.add(rest.remove(random.nextInt(rest.size())));
    }
    return drawn;
  }

  static String withArticle(String noun) {
    return ("aeiou".indexOf(noun.charAt(0)) < 0 ? "a " : "an ") + noun;
  }
}
