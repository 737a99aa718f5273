// Metrics of samples whose worth is known, on any number of ranks.
#include "launch/evaluate/metric.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "data/feed/loader.h"
#include "data/store/shard_writer.h"
#include "dist/error.h"
#include "launch/engine/trainer.h"
#include "launch/evaluate/preview.h"
#include "launch/run/open_data.h"
#include "tests/data/folder.h"
#include "tests/support/images.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

using nlohmann::json;

// A system whose i-th sample is the i-th of these.
System repeating(const Batch& samples, const Comm& comm) {
  System system({.comm = comm});
  system.sample = [samples](Sampling& q) {
    Batch rows;
    for (const auto& [name, tensor] : samples)
      rows.set(name, tensor.narrow(0, q.samples().first, q.samples().count));
    return rows;
  };
  return system;
}

json measured(std::vector<Metric> metrics, MetricContext context, const Batch& samples) {
  System system = repeating(samples, context.comm);
  context.samples = samples.size();
  const Measurement measurement(std::move(metrics), std::move(context));
  json result = measurement(system, measurement.drawing(1));
  result.update(measurement.about());
  return result;
}

class Measures : public testing::Test {
 protected:
  // A system after some steps.
  Trainer& start(const std::string& system, std::vector<std::string> sets, std::shared_ptr<Dataset> data) {
    for (const char* set : {"g.width=4", "d.width=4", "latent=6", "seed=3", "precision=float64"})
      sets.emplace_back(set);
    data_ = std::move(data);
    trainer_.reset();
    run_ = std::make_unique<saddle::Run>();
    run_->resolve("system = \"" + system + "\"", "test", sets);
    trainer_ = std::make_unique<Trainer>(*run_, host_, data_);
    for (int i = 0; i < 3; ++i) trainer_->step();
    return *trainer_;
  }
  // Of samples as they are, drawn by a system that repeats them in order.
  MetricContext context(int64_t samples) {
    return {.comm = host_, .data = data_, .system = &trainer_->system(), .samples = samples, .batch = 8};
  }
  json found(const std::vector<std::string>& names, const Batch& samples) {
    return measured(choose_metrics(names, context(samples.size())), context(samples.size()), samples);
  }
  json found(const std::string& name, const Batch& samples) {
    return found(std::vector<std::string>{name}, samples);
  }
  double value(const std::string& name, const Batch& samples) {
    return found(name, samples).at(find_metric(name).key).get<double>();
  }
  // Four centres, of which samples lie at the first `covered`; `bad` of ten lie nowhere.
  static Batch points(int64_t covered, int64_t bad) {
    torch::Tensor x = torch::zeros({400, 2}, torch::kDouble);
    for (int64_t i = 0; i < 400; ++i) x[i] = centers()[i / 10 % covered] + (i % 10 < bad ? 3.0 : 0.0);
    return {{"x", x}};
  }
  static torch::Tensor centers() {
    return torch::tensor({0, 0, 0, 10, 10, 0, 10, 10}, torch::kDouble).view({4, 2});
  }
  static std::shared_ptr<Dataset> mixture() {
    const Field x{.name = "x", .shape = {2}, .dtype = torch::kFloat, .classes = 0, .class_names = {}};
    return in_memory({{x}}, {{"x", uniform({1, "x"}, {0, 50}, {2}, torch::kFloat)}},
                     {{"mixture", {{"centers", {{0, 0}, {0, 10}, {10, 0}, {10, 10}}}, {"sigma", 0.1}}}});
  }

  Comm host_ = test::world().comm("cpu");
  std::shared_ptr<Dataset> data_;
  std::unique_ptr<saddle::Run> run_;
  std::unique_ptr<Trainer> trainer_;
};

TEST_F(Measures, ModesIsTheShareOfGoodSamplesTimesTheShareOfModes) {
  start("gan-ns", {"batch=8"}, mixture());
  const Metric& modes = find_metric("modes");
  EXPECT_NEAR(value("modes", points(4, 0)), 1, 1e-12);
  EXPECT_NEAR(value("modes", points(2, 0)), 0.5, 1e-12);
  EXPECT_NEAR(value("modes", points(1, 0)), 0.25, 1e-12);
  EXPECT_NEAR(value("modes", points(4, 3)), 0.7, 1e-12);
  EXPECT_EQ(value("modes", points(4, 10)), 0);
  EXPECT_TRUE(modes.better(value("modes", points(4, 0)), value("modes", points(3, 0))));
  EXPECT_FALSE(modes.better(value("modes", points(4, 5)), value("modes", points(4, 4))));
}

TEST_F(Measures, CriticIsTheMeanOutputOfTheOwnD) {
  for (const std::string system : {"wgan-gp", "cgan"}) {
    Trainer& trainer = start(system, {"batch=8", "d.norm=none"}, test::images(50));
    const Batch samples = draw_samples(trainer.system(), {.count = 48, .seed = 1});
    const Net d = *trainer.system().find("D");
    at::NoGradGuard no_grad;
    const torch::Tensor y = samples.has("label") ? samples["label"] : torch::Tensor();
    EXPECT_NEAR(value("critic", samples), d({samples["image"], y}).x.mean().item<double>(), 1e-12) << system;
    EXPECT_TRUE(find_metric("critic").higher_is_better);
  }
}

TEST_F(Measures, CriticJudgesInBatchesAsItWasTrainedAndLeavesBuffersAlone) {
  Trainer& trainer = start("dcgan", {"batch=8", "d.norm=batch", "d.minibatch_std=4"}, test::images(50));
  const Batch samples{{"image", real_samples(*data_, "image", 0, {0, 48}, torch::kDouble)}};
  const auto digest_of = [&] { return digest([&](StateVisitor& v) { trainer.visit(v); }); };
  const uint64_t before = digest_of();
  const double whole = value("critic", samples);
  EXPECT_EQ(digest_of(), before);
  Batch two;  // batches in another order: the same mean
  two.set("image", torch::cat({samples["image"].narrow(0, 24, 24), samples["image"].narrow(0, 0, 24)}));
  EXPECT_NEAR(value("critic", two), whole, 1e-12);
  Batch mixed;  // samples in other batches: another one, for D compares within them
  mixed.set("image", samples["image"].view({8, 6, 1, 16, 16}).transpose(0, 1).reshape({48, 1, 16, 16}));
  EXPECT_GT(std::abs(value("critic", mixed) - whole), 1e-9);
}

TEST_F(Measures, GapIsWhatDSaysOfDataThatItHasSeenAndHasNot) {
  Trainer& trainer = start("cgan", {"batch=8", "d.norm=none"}, test::images(48));
  const Net d = *trainer.system().find("D");
  MetricContext c = context(48);
  EXPECT_THAT(find_metric("gap").misfit(c), testing::HasSubstr("needs data that were not trained on"));
  c.held_out = test::images(24);
  c.trained = c.data;
  const json found = Measurement({find_metric("gap")}, c)(trainer.system(), {.count = 48, .seed = 1});
  const auto mean = [&](const Dataset& data, int64_t count) {
    const at::NoGradGuard no_grad;
    const auto field = [&](const char* name) {
      return real_samples(data, name, c.seed, {0, count}, torch::kDouble);
    };
    return d({field("image"), field("label")}).x.mean().item<double>();
  };
  EXPECT_NEAR(found.at("d_train"), mean(*c.data, 48), 1e-6);
  EXPECT_NEAR(found.at("d_held_out"), mean(*c.held_out, 24), 1e-6);
  EXPECT_NEAR(found.at("d_gap"), mean(*c.data, 48) - mean(*c.held_out, 24), 1e-6);
  EXPECT_NEAR(found.at("d_fake"), value("critic", draw_samples(trainer.system(), {.count = 48, .seed = 1})),
              1e-6);
}

TEST_F(Measures, FdIsSmallForTheDataAndLargeForNoise) {
  start("cgan", {"batch=8"}, test::images(200));
  const Metric& fd = find_metric("fd");
  const double of_data = value("fd", {{"image", real_samples(*data_, "image", 1, {0, 96}, torch::kFloat)}});
  const double of_others =
      value("fd", {{"image", real_samples(*data_, "image", 1, {100, 96}, torch::kFloat)}});
  const double of_nothing = value("fd", {{"image", torch::zeros({96, 1, 16, 16})}});
  EXPECT_NEAR(of_data, 0, 1e-6);
  EXPECT_TRUE(fd.better(of_data, of_others));
  EXPECT_TRUE(fd.better(of_others, of_nothing));
}

// `count` grey images of each of three classes, told by how bright they are, packed class by class as folders
// are; with `shift` the labels are those of the next class.
std::shared_ptr<Dataset> by_class(int64_t count, int64_t shift = 0) {
  Field image{.name = "image", .shape = {1, 8, 8}, .dtype = torch::kByte, .classes = 0, .class_names = {}};
  Field label{
      .name = "label", .shape = {}, .dtype = torch::kLong, .classes = 3, .class_names = {"a", "b", "c"}};
  const torch::Tensor labels = torch::arange(3, torch::kLong).repeat_interleave(count);
  const torch::Tensor noise = integers({2, "noise"}, {0, 3 * count * 64}, 20).view({-1, 1, 8, 8});
  return in_memory({{image, label}}, {{"image", (labels.view({-1, 1, 1, 1}) * 100 + noise).to(torch::kByte)},
                                      {"label", (labels + shift).remainder(3)}});
}

// All of them in the order of their classes in turn, as samples are drawn.
Batch in_turn(const Dataset& data) {
  std::vector<int64_t> order;
  for (int64_t i = 0; i < data.size(); ++i) order.push_back(i % 3 * (data.size() / 3) + i / 3);
  const Batch read = data.read(order);
  return {{"image", to_model(read["image"], torch::kCPU, torch::kFloat)}, {"label", read["label"]}};
}

// By agreement and fd.
json judged(const Batch& samples, const std::shared_ptr<Dataset>& data,
            const std::shared_ptr<Dataset>& held_out = nullptr) {
  MetricContext context{.comm = test::world().comm("cpu"), .data = data, .held_out = held_out};
  return measured(choose_metrics({}, context), context, samples);
}

TEST(Evaluation, KnowsEveryClassOfDataPackedClassByClass) {
  const auto data = by_class(100);
  const auto found = judged(in_turn(*data), data);
  EXPECT_GT(found.at("classifier_accuracy").get<double>(), 0.95);
  EXPECT_NEAR(found.at("majority_share").get<double>(), 1.0 / 3, 0.01);
  EXPECT_GT(found.at("agreement").get<double>(), 0.95);
  EXPECT_EQ(found.at("fd_samples"), 150);
  // Two halves of the data are alike, and like the data; one class is not.
  const double floor = found.at("fd_real_against_real");
  const Batch all = in_turn(*data);
  Batch one;
  for (const auto& [name, values] : all)
    one.set(name, values.index_select(0, all["label"].eq(0).nonzero().flatten()).repeat_interleave(2, 0));
  const double of_one = judged(one, data).at("fd");
  EXPECT_LT(floor, 0.05 * of_one);
  EXPECT_LT(found.at("fd").get<double>(), 0.05 * of_one);
}

TEST(Evaluation, TestsTheClassifierOnValidationDataWhereThereAreSome) {
  const auto data = by_class(100), others = by_class(40, 1);
  const auto found = judged(in_turn(*data), data, others);
  EXPECT_EQ(found.at("classifier_tested_on"), "validation");
  EXPECT_LT(found.at("classifier_accuracy").get<double>(), 0.05);  // on labels that are all wrong
  EXPECT_GT(found.at("agreement").get<double>(), 0.95);
}

TEST(Evaluation, WarnsOfAClassifierThatGuesses) {
  const auto data = by_class(60), mislabelled = by_class(20, 1);
  testing::internal::CaptureStderr();
  judged(in_turn(*data), data, mislabelled);
  judged(in_turn(*data), data);
  const std::string said = testing::internal::GetCapturedStderr();
  const size_t first = said.find("naming their commonest class");
  if (test::world().comm("cpu").rank() != 0) {  // rank 0 says it
    EXPECT_EQ(first, std::string::npos);
    return;
  }
  ASSERT_NE(first, std::string::npos) << said;
  EXPECT_EQ(said.find("naming their commonest class", first + 1), std::string::npos) << said;
}

TEST(Evaluation, WorksOnAFewImagesOrSaysWhatIsMissing) {
  const auto few = by_class(4);
  EXPECT_EQ(judged(in_turn(*few), few).at("fd_samples"), 6);
  const auto single = by_class(1);
  EXPECT_THAT(test::error_of([&] { judged(in_turn(*single), single); }),
              testing::HasSubstr("two images or more of a class"));
}

TEST(Evaluation, FindsTheValidationDataBesideTheirTrainingData) {
  const test::Folder folder;
  const auto write = [&](const std::string& name, const Dataset& data) {
    fs::create_directories(folder / name);
    ShardWriter writer(folder / name, data.schema(), 1 << 20);
    writer.append(data.read({0, 1, 2}));
    writer.finish({});
  };
  const auto data = by_class(10);
  write("set/train", *data), write("set/validation", *data), write("set/other", *data);
  EXPECT_TRUE(validation_beside(folder / "set/train", data->schema()));
  EXPECT_TRUE(validation_beside(folder / "set/train/", data->schema()));
  EXPECT_FALSE(validation_beside(folder / "set/validation", data->schema()));
  EXPECT_FALSE(validation_beside(folder / "set/other", data->schema()));
  EXPECT_FALSE(validation_beside(folder / "set/train", test::images(9)->schema()));
  fs::remove_all(folder / "set/validation");
  EXPECT_FALSE(validation_beside(folder / "set/train", data->schema()));
}

TEST_F(Measures, RealSamplesStandInTheLayoutOfDrawnOnes) {
  Trainer& trainer = start("cgan", {"batch=6"}, by_class(50));
  const Drawing drawing{.count = 12, .seed = 4};
  const torch::Tensor real = real_preview(trainer.system(), drawing, *data_);
  EXPECT_EQ(real.sizes(), preview(trainer.system(), drawing, data_->schema(), nullptr).sizes());
  const int64_t column = real.size(2) / 3;
  for (int64_t k = 0; k < 3; ++k)  // below the names, rows of real images of one class each
    for (const int64_t y : {real.size(1) - 20, real.size(1) - 200})
      EXPECT_NEAR(real[0][y][k * column + column / 2].item<double>(), 100.0 * double(k) + 10, 11) << k;
}

// One rank and several, pieces of any size: the same numbers.
TEST(Evaluation, IsTheSameOnAnyNumberOfRanks) {
  const auto data = by_class(40);
  const Batch samples = in_turn(*data);
  MetricContext alone{.data = data};
  alone.features = std::make_shared<Classifier>(data, nullptr, 1, World::alone(), "");
  MetricContext together = alone;
  together.comm = test::world().comm("cpu");
  const auto chosen = choose_metrics({"all"}, alone);
  EXPECT_EQ(chosen.size(), 7u);
  const json one = measured(chosen, alone, samples), all = measured(chosen, together, samples);
  for (const auto& [key, number] : one.items())
    if (number.is_number()) {
      const double value = number.get<double>();
      EXPECT_NEAR(all.at(key).get<double>(), value, 1e-9 * std::abs(value)) << key;
    }
}

TEST(Evaluation, KeepsTheClassifierForTheNextCall) {
  const Comm host = test::world().comm("cpu");
  const std::string cache = host.broadcast_text(test::Folder() / "cache");
  const auto data = by_class(40);
  const Classifier trained(data, nullptr, 1, host, cache);
  testing::internal::CaptureStderr();
  const Classifier kept(data, nullptr, 1, host, cache);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");  // nothing was trained
  EXPECT_EQ(kept.name(), trained.name());
  EXPECT_EQ(kept.accuracy(), trained.accuracy());
  const torch::Tensor images = in_turn(*data)["image"];
  EXPECT_TRUE(kept.see(images).features.equal(trained.see(images).features));
  const Classifier other(by_class(41), nullptr, 1, host, cache);
  EXPECT_NE(other.name(), trained.name());
  // A file that is damaged is made anew.
  host.together([&] {
    if (host.rank() != 0) return;
    for (const auto& file : fs::directory_iterator(cache)) {
      std::fstream(file.path(), std::ios::in | std::ios::out).seekp(5000).write("damage", 6);
    }
  });
  const Classifier again(data, nullptr, 1, host, cache);
  EXPECT_EQ(again.name(), trained.name());
  host.together([&] {
    if (host.rank() == 0) fs::remove_all(cache);
  });
}

TEST_F(Measures, AMetricThatDoesNotFitIsAnError) {
  start("gan-ns", {"batch=8"}, mixture());
  EXPECT_THAT(test::error_of([&] { choose_metrics({"fd"}, context(50)); }),
              testing::HasSubstr("metric fd needs a system that draws images"));
  EXPECT_THAT(test::error_of([&] { Measurement({find_metric("fd")}, context(50)); }),
              testing::HasSubstr("metric fd needs"));
  EXPECT_EQ(choose_metrics({}, context(50)).size(), 1);  // modes
  start("gan-ns", {"batch=8"}, test::images(50));
  EXPECT_THROW(choose_metrics({"modes"}, context(50)), Error);
  EXPECT_THAT(test::error_of([&] { find_metric("mode"); }), testing::HasSubstr("modes"));
}

// A system that makes [N, 1, 8, 8, 8] of a field of that shape.
TEST(Preview, VolumesAreDrawnInSlices) {
  const Field field{
      .name = "volume", .shape = {1, 8, 8, 8}, .dtype = torch::kByte, .classes = 0, .class_names = {}};
  System system({.comm = World::alone()});
  system.sample = [](Sampling& q) { return Batch{{"volume", q.uniform({1, 8, 8, 8}) * 2 - 1}}; };
  const torch::Tensor drawn = preview(system, {.count = 6}, Schema{{field}}, nullptr);
  EXPECT_EQ(drawn.scalar_type(), torch::kByte);
  EXPECT_EQ(drawn.dim(), 3);
  EXPECT_GT(drawn.to(torch::kDouble).std().item<double>(), 20);
}

}  // namespace
}  // namespace saddle
