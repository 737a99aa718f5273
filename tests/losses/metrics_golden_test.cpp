// Measures against numbers of the authors' code (tests/support/goldens.h): sets, sizes, splits, spacing and
// neighbours are those that the file's keys name, and a key that nothing here knows is a failure.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "losses/metrics/frechet.h"
#include "losses/metrics/image_pairs.h"
#include "losses/metrics/inception.h"
#include "losses/metrics/kernel.h"
#include "losses/metrics/masks.h"
#include "losses/metrics/neighbours.h"
#include "tests/support/goldens.h"

namespace saddle {
namespace {

using nlohmann::json;
using test::Golden;
using torch::Tensor;

// A table of numbers and the tensors they were computed from.
struct Table {
  json numbers;
  Golden golden;
};

std::vector<Table> tables() {
  std::vector<Table> all;
  for (const auto& path : test::golden_files("metrics", ".json"))
    all.push_back({json::parse(read_file(path)),
                   test::read_golden(std::filesystem::path(path).replace_extension(".safetensors"))});
  return all;
}

// `check` for each entry of a section, in every table; at least one.
void for_each_entry(
    const std::string& section,
    const std::function<void(const Golden&, const std::string& key, const json& value)>& check) {
  for (const Table& table : tables()) {
    ASSERT_TRUE(table.numbers.contains(section)) << section;
    for (const auto& [key, value] : table.numbers.at(section).items()) {
      SCOPED_TRACE(fmt::format("{}: {}", section, key));
      check(table.golden, key, value);
    }
  }
}

void expect_near(double ours, const json& theirs, double tolerance) {
  const double value = theirs.get<double>();
  EXPECT_NEAR(ours, value, tolerance * std::max(1.0, std::abs(value)));
}

// "subsets=10 size=50 seed=2020": the words with a "=" between them.
std::map<std::string, std::string> fields(const std::string& text) {
  std::map<std::string, std::string> found;
  std::stringstream words(text);
  for (std::string word; words >> word;)
    if (const size_t at = word.find('='); at != std::string::npos)
      found[word.substr(0, at)] = word.substr(at + 1);
  return found;
}

// A set of features by its name in a key: "a", "first half a", "0.5*a" or "few (singular)".
Tensor features(const Golden& golden, std::string name) {
  name = name.substr(0, name.find(" ("));
  while (name.starts_with(' ')) name.erase(0, 1);
  double factor = 1;
  if (const size_t at = name.find('*'); at != std::string::npos) {
    factor = std::stod(name);
    name = name.substr(at + 1);
  }
  const bool first = name.starts_with("first half "), second = name.starts_with("second half ");
  if (first || second) name = name.substr(name.rfind(' ') + 1);
  const std::string tensor = fmt::format("feat_{}", name);
  if (!golden.has(tensor)) {
    ADD_FAILURE() << "no set of features is called " << name;
    return torch::zeros({2, 1});
  }
  const Tensor all = golden[tensor].to(torch::kDouble) * factor;
  const int64_t n = all.size(0), half = n / 2;
  return first ? all.narrow(0, 0, half) : second ? all.narrow(0, half, n - half) : all;
}

TEST(MetricsGolden, NoSectionOfTheTableIsLeftOut) {
  for (const Table& table : tables())
    for (const auto& [section, entries] : table.numbers.items())
      EXPECT_TRUE(std::set<std::string>({"fid", "kid", "isc", "prdc", "image", "segmentation", "versions"})
                      .count(section))
          << "no test knows " << section;
}

TEST(MetricsGolden, FrechetDistancesAreTheAuthors) {
  for_each_entry("fid", [](const Golden& golden, const std::string& key, const json& value) {
    const size_t comma = key.find(',');
    ASSERT_NE(comma, std::string::npos) << "a key of two sets: " << key;
    const Tensor a = features(golden, key.substr(0, comma)), b = features(golden, key.substr(comma + 1));
    expect_near(frechet_distance(a, b), value, 1e-6);
  });
}

void expect_kid_subsets(const Golden& golden, const std::string& key, const json& value) {
  auto field = fields(key);
  const std::string stored = fmt::format("kid_s{}x{}", field["subsets"], field["size"]);
  const std::string names[] = {fmt::format("{}.idx_a", stored), fmt::format("{}.idx_b", stored)};
  ASSERT_TRUE(golden.has(names[0]) && golden.has(names[1])) << "no subsets " << stored;
  const Tensor a = features(golden, "a"), b = features(golden, "b"), of_a = golden[names[0]],
               of_b = golden[names[1]];
  ASSERT_EQ(of_a.size(0), std::stoll(field["subsets"]));
  ASSERT_EQ(of_a.size(1), std::stoll(field["size"]));
  const MeanStd ours = kid_subsets(a, b, of_a, of_b);
  for (const auto& [name, theirs] : value.items()) {
    if (name == "kernel_inception_distance_mean") {
      expect_near(ours.mean, theirs, 1e-5);
    } else if (name == "kernel_inception_distance_std") {
      expect_near(ours.std, theirs, 1e-5);
    } else if (name == "per_subset_f64") {
      ASSERT_EQ(static_cast<int64_t>(theirs.size()), of_a.size(0));
      for (int64_t i = 0; i < of_a.size(0); ++i)
        expect_near(kid_subsets(a, b, of_a.narrow(0, i, 1), of_b.narrow(0, i, 1)).mean,
                    theirs.at(static_cast<size_t>(i)), 1e-9);
    } else {
      ADD_FAILURE() << "no test knows " << name;
    }
  }
}

TEST(MetricsGolden, KernelDistancesAreTheAuthors) {
  for_each_entry("kid", [](const Golden& golden, const std::string& key, const json& value) {
    if (key == "full_unbiased_no_subsets")
      expect_near(kid(features(golden, "a"), features(golden, "b")), value, 1e-9);
    else
      expect_kid_subsets(golden, key, value);
  });
}

TEST(MetricsGolden, InceptionScoresAreTheAuthors) {
  for_each_entry("isc", [](const Golden& golden, const std::string& key, const json& value) {
    auto field = fields(key);
    Tensor logits = golden["logits"];
    if (field["shuffle"] == "True")
      logits = logits.index_select(0, golden[fmt::format("isc_perm_seed{}", field["seed"])]);
    else
      ASSERT_EQ(field["shuffle"], "False") << key;
    const MeanStd ours = inception_score(logits, std::stoll(field["splits"]));
    for (const auto& [name, theirs] : value.items()) {
      if (name == "inception_score_mean")
        expect_near(ours.mean, theirs, 1e-6);
      else if (name == "inception_score_std")
        expect_near(ours.std, theirs, 1e-6);
      else
        ADD_FAILURE() << "no test knows " << name;
    }
  });
}

TEST(MetricsGolden, PrecisionRecallDensityAndCoverageAreTheAuthors) {
  for_each_entry("prdc", [](const Golden& golden, const std::string& key, const json& value) {
    auto field = fields(key);
    const Prdc ours = prdc(features(golden, field["real"]), features(golden, field["fake"]),
                           std::stoll(field["k"]), /*strict=*/true);
    const std::map<std::string, double> known = {{"precision", ours.precision},
                                                 {"recall", ours.recall},
                                                 {"density", ours.density},
                                                 {"coverage", ours.coverage}};
    for (const auto& [name, theirs] : value.items()) {
      ASSERT_TRUE(known.contains(name)) << "no test knows " << name;
      EXPECT_NEAR(known.at(name), theirs.get<double>(), 1e-12) << name;
    }
  });
}

// What a key about pictures asks for, by the words in it; nothing for words that are not known.
std::optional<double> of_pictures(const Golden& golden, const std::string& key) {
  const auto has = [&](const char* words) { return key.find(words) != std::string::npos; };
  const auto pair = [&](const char* name) {
    const auto one = [&](const char* side) { return golden[fmt::format("{}_{}_u8", name, side)]; };
    return std::pair(one("x").to(torch::kDouble), one("y").to(torch::kDouble));
  };
  if (has("psnr")) {
    const double range = std::stod(fields(key).at("data_range"));
    const double scale = has("u8") ? 1 : 1.0 / 255;
    const auto [x, y] = pair("img");
    return psnr(x * scale, y * scale, range).mean().item<double>();
  }
  if (has("ms_ssim")) {
    const auto [x, y] = pair("msssim");
    return ms_ssim(x, y, 255).mean().item<double>();
  }
  std::optional<SsimWindow> window;
  if (has("7x7 uniform")) window = SsimWindow::uniform;
  if (has("gaussian")) window = has("sample covariance") ? SsimWindow::gaussian_sample : SsimWindow::gaussian;
  if (!has("ssim") || !window) return {};
  auto [x, y] = pair("img");
  if (const size_t at = key.find("channel "); at != std::string::npos) {
    const int64_t channel = std::stoll(key.substr(at + 8));
    x = x.narrow(1, channel, 1);
    y = y.narrow(1, channel, 1);
  }
  return ssim(x, y, 255, *window).mean().item<double>();
}

TEST(MetricsGolden, PairsOfPicturesAreTheAuthors) {
  for_each_entry("image", [](const Golden& golden, const std::string& key, const json& value) {
    const std::optional<double> ours = of_pictures(golden, key);
    ASSERT_TRUE(ours.has_value()) << "no test knows " << key;
    expect_near(*ours, value, 1e-5);
  });
}

// What a key about masks asks for: "dice", "hd95_medpy", "hd_monai" (the 100th percentile), ...
std::optional<double> of_masks(const Tensor& mask, const Tensor& reference,
                               const std::vector<double>& spacing, const std::string& key) {
  if (key == "dice") return dice(mask, reference);
  if (key == "iou") return iou(mask, reference);
  if (key == "assd_medpy") return surface_distance(mask, reference, spacing);
  const size_t end = key.find('_');
  if (!key.starts_with("hd") || end == std::string::npos) return {};
  const std::string percent = key.substr(2, end - 2), library = key.substr(end + 1);
  if (library != "medpy" && library != "monai") return {};
  return hausdorff(mask, reference, spacing, library == "medpy" ? Hausdorff::medpy : Hausdorff::monai,
                   percent.empty() ? 100 : std::stod(percent));
}

TEST(MetricsGolden, MasksAreTheAuthors) {
  for_each_entry("segmentation", [](const Golden& golden, const std::string& key, const json& value) {
    std::string masks = key;  // "seg_2d_aniso" is of the masks of "seg_2d"
    while (!masks.empty() && !golden.has(fmt::format("{}.pred", masks)))
      masks = masks.substr(0, masks.find('_') == masks.npos ? 0 : masks.rfind('_'));
    ASSERT_FALSE(masks.empty()) << "no masks for " << key;
    const Tensor mask = golden[fmt::format("{}.pred", masks)],
                 reference = golden[fmt::format("{}.ref", masks)];
    const auto spacing = value.at("spacing").get<std::vector<double>>();
    for (const auto& [name, theirs] : value.items()) {
      if (name == "spacing") continue;
      const std::optional<double> ours = of_masks(mask, reference, spacing, name);
      ASSERT_TRUE(ours.has_value()) << "no test knows " << name;
      SCOPED_TRACE(name);
      expect_near(*ours, theirs, 1e-5);
    }
  });
}

}  // namespace
}  // namespace saddle
