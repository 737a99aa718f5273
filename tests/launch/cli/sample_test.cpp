// What is drawn from runs, and the files it goes to.
#include "data/feed/loader.h"
#include "data/view/picture.h"
#include "dist/safetensors.h"
#include "tests/launch/cli/cli.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Cli;
using test::Result;
using test::saddle;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST_F(Cli, FilesThatCannotBeWrittenAreRefusedBeforeTheWork) {
  expect_ok(saddle(train("run", "--steps 2")));
  const auto refused = [&](const std::string& arguments, const std::string& why) {
    const Result result = saddle(arguments, 0);
    EXPECT_EQ(result.status, 64) << result.output;
    EXPECT_THAT(result.output, HasSubstr(why));
    EXPECT_THAT(result.output, testing::Not(HasSubstr("classifier")));
  };
  const std::string run = dir_ + "run", out = " --out " + dir_;
  refused("sample " + run + out + "x.jpg",
          "ends in .jpg: expected a file name that ends in .png or .safetensors");
  refused("sample " + run + out + "x", "has no ending");
  refused("sample " + run + out + "nowhere/x.png", "there is no folder");
  refused("evaluate " + run + " --picture " + dir_ + "x.jpeg", "ends in .jpeg");
  refused("check " + dir_ + "ring --picture " + dir_ + "x.bmp", "ends in .bmp");
  refused("check " + dir_ + "ring --report " + dir_ + "x.pdf",
          "ends in .pdf: expected a file name that ends in .html");
  refused("export " + run + " --to torchscript" + out + "x.safetensors", "ends in .safetensors");
  refused("export " + run + " --to safetensors" + out + "x.pt", "ends in .pt");
  fs::create_directories(dir_ + "folder.png");
  refused("sample " + run + out + "folder.png", "is a folder");
  for (const auto& entry : fs::directory_iterator(dir_)) EXPECT_NE(entry.path().stem(), "x") << entry.path();
  expect_ok(saddle("sample " + run + out + "X.PNG"));
}

TEST_F(Cli, ClassesGoByTheirNames) {
  for (const std::string name : {"mimetypes", "apps", "2", "devices"}) {
    fs::create_directories(dir_ + "icons/" + name);
    for (int i = 0; i < 6; ++i)
      write_png(fmt::format("{}icons/{}/{}.png", dir_, name, i),
                torch::full({1, 8, 8}, 40 * i, torch::kByte));
  }
  expect_ok(saddle(fmt::format("pack {0}icons --out {0}packed", dir_)));
  EXPECT_THAT(saddle(fmt::format("check {}packed", dir_)).output,
              AllOf(HasSubstr("    0  2 "), HasSubstr("    1  apps "), HasSubstr("    3  mimetypes ")));
  expect_ok(
      saddle(fmt::format("train cgan --data {0}packed --out {0}run --steps 2 --set batch=8 --set g.width=4 "
                         "--set d.width=4 --set d.depth=1 --set g.depth=1",
                         dir_)));
  const auto label = [&](const std::string& text) {
    return saddle(fmt::format("sample {0}run --n 3 --out {0}s.safetensors --label {1}", dir_, text));
  };
  const auto drawn = [&] { return read_safetensors(dir_ + "s.safetensors").at("label"); };
  for (const auto& [text, number] : {std::pair{"mimetypes", 3}, {"1", 1}, {"name:2", 0}, {"number:2", 2}}) {
    expect_ok(label(text));
    EXPECT_TRUE(drawn().eq(number).all().item<bool>()) << text;
  }
  EXPECT_THAT(label("mimetypes").output, HasSubstr("of class mimetypes (3)"));
  expect_error(label("mimetype"), 64, "did you mean 'mimetypes'");
  expect_error(label("2"), 64, "class number 0 is called so, and class number 2 is called 'devices'");
  expect_error(label("cat"), 64, "no class is called so; `saddle check DATA` lists the names");
  expect_error(label("''"), 64, "no class is called so");
  expect_error(label("4"), 64, "labels 0 to 3");
  expect_error(label("-1"), 64, "labels 0 to 3");
  expect_ok(saddle(train("points", "--steps 2")));
  expect_error(saddle(fmt::format("sample {}points --label 0", dir_)), 64, "no labels");
  // Sheets have a line of names above.
  expect_ok(saddle(fmt::format("sample {0}run --n 8 --out {0}s.png", dir_)));
  EXPECT_EQ(read_picture(dir_ + "run/samples/real.png", 1).sizes(),
            read_picture(dir_ + "run/samples/step-000000.png", 1).sizes());
}

TEST_F(Cli, AClassifierIsMeasuredOnWhatItHasNotSeen) {
  expect_ok(saddle(fmt::format("pack glyph10 --samples 120 --out {}digits", dir_)));
  const std::string run = fmt::format(
      "train pi-model --data {0}digits --out {0}run --steps 3 --set batch=20 --set width=4 --set "
      "data.labels=2 ",
      dir_);
  expect_ok(saddle(run + "--set data.held_out=0.25"));
  Result result = saddle(fmt::format("evaluate {0}run --picture {0}told.png", dir_));
  expect_ok(result);
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("\"tested_on\": \"data.held_out\""), HasSubstr("\"samples\": 30,"),
                    HasSubstr("\"error\": "), HasSubstr("\"error_by_class\": ")));
  EXPECT_EQ(read_picture(dir_ + "told.png", 3).size(0), 3);
  expect_ok(saddle(fmt::format("sample {0}run --n 9 --out {0}s.safetensors", dir_)));
  EXPECT_EQ(read_safetensors(dir_ + "s.safetensors").at("label").sizes(), (std::vector<int64_t>{9}));
  fs::remove_all(dir_ + "run");
  expect_ok(saddle(run));
  EXPECT_THAT(saddle("evaluate " + dir_ + "run").output,
              AllOf(HasSubstr("train with data.held_out=0.1"), HasSubstr("the training data")));
  expect_error(saddle(fmt::format("train gan-ns --data {0}digits --out {0}gan --set data.labels=2", dir_)),
               64, "for classifiers of few labels, pi-model and temporal-ensembling, this is gan-ns");
}

// Other data, in their order, of systems that make their samples of data.
TEST_F(Cli, SamplesAreMadeOfAUsersOwnData) {
  expect_ok(saddle(fmt::format("pack glyph10 --samples 60 --out {}digits", dir_)));
  expect_ok(saddle(fmt::format("pack glyph10 --samples 7 --seed 5 --out {}mine", dir_)));
  expect_ok(saddle(fmt::format("train classifier --data {0}digits --out {0}run --steps 3", dir_)));
  expect_ok(saddle(fmt::format("sample {0}run --data {0}mine --out {0}s.safetensors", dir_)));
  const auto told = read_safetensors(dir_ + "s.safetensors");
  const Batch mine = open_shards(dir_ + "mine")->read({0, 1, 2, 3, 4, 5, 6});
  EXPECT_TRUE(told.at("given_image").equal(to_model(mine["image"], torch::kCPU, torch::kFloat)));
  EXPECT_EQ(told.at("label").sizes(), (std::vector<int64_t>{7}));
  EXPECT_THAT(saddle(fmt::format("evaluate {0}run --data {0}mine", dir_)).output,
              AllOf(HasSubstr("\"tested_on\": \"" + dir_ + "mine\""), Not(HasSubstr("was trained on"))));
  expect_error(saddle(fmt::format("evaluate {0}run --data {0}ring", dir_)), 64, "these data have");
  expect_ok(saddle(fmt::format("pack glyph10 --samples 9 --size 20 --out {}small", dir_)));
  expect_error(saddle(fmt::format("sample {0}run --data {0}small --out {0}s.png", dir_)), 64,
               "this system makes its samples of image uint8 [1, 16, 16]");
  expect_ok(saddle(train("points", "--steps 2")));
  expect_error(saddle(fmt::format("sample {0}points --data {0}ring --out {0}s.png", dir_)), 64,
               "makes its samples of noise");
  expect_error(saddle(fmt::format("evaluate {0}points --metrics fd", dir_)), 64, "metric fd needs");
  expect_error(saddle(fmt::format("evaluate {0}points --metrics mod", dir_)), 64, "no metric 'mod'");
}

// What another program could have made, in a file: the numbers are those of the run that made it.
TEST_F(Cli, SamplesOfOthersAreMeasured) {
  expect_ok(saddle(fmt::format("pack glyph10 --samples 120 --out {}digits", dir_)));
  expect_ok(
      saddle(fmt::format("train cgan --data {0}digits --out {0}run --steps 3 --set g.width=4 --set d.width=4 "
                         "--set batch=8",
                         dir_)));
  expect_ok(saddle(fmt::format("sample {0}run --n 100 --seed 1 --out {0}s.safetensors", dir_)));
  const std::string names = " --metrics fd,agreement,kid,prdc 2>/dev/null";
  const auto numbers = [](const std::string& output) {
    json found = json::parse(output);
    for (const char* key : {"run", "step", "weights", "real", "fake"}) found.erase(key);
    return found;
  };
  const json of_run = numbers(saddle(fmt::format("evaluate {}run --n 100", dir_) + names).output);
  for (const int ranks : {0, 2}) {
    const json of_file = numbers(
        saddle(fmt::format("evaluate --real {0}digits --fake {0}s.safetensors", dir_) + names, ranks).output);
    ASSERT_EQ(of_file.size(), of_run.size());
    for (const auto& [key, value] : of_run.items()) {
      if (!value.is_number() || ranks > 0)
        continue;  // two ranks train a classifier that differs in the last bits
      EXPECT_NEAR(of_file.at(key).get<double>(), value.get<double>(), 1e-9 * std::abs(value.get<double>()))
          << key;
    }
  }
  const Result self = saddle(fmt::format("evaluate --real {0}digits --fake {0}digits", dir_));
  expect_ok(self);
  expect_error(saddle(fmt::format("evaluate --real {0}digits --fake {0}ring", dir_)), 64, "make them alike");
  expect_error(saddle(fmt::format("evaluate --real {0}digits --fake {0}", dir_)), 64,
               "neither a folder made by");
  expect_error(saddle(fmt::format("evaluate --real {0}digits", dir_)), 64, "expected a run, or both");
  expect_error(saddle(fmt::format("evaluate {0}run --real {0}digits --fake {0}digits", dir_)), 64,
               "expected a run");
  expect_error(saddle("evaluate"), 64, "expected a run, or both --real DIR and --fake");
}

// By a classifier of single digits, of which each channel is one.
TEST_F(Cli, CombinationsOfStackedPicturesAreCounted) {
  expect_ok(saddle(fmt::format("pack glyph10 --samples 300 --out {}digits", dir_)));
  expect_ok(
      saddle(fmt::format("train dcgan --data {0}digits --out {0}run --steps 2 --set batch=8 --set g.width=4 "
                         "--set d.width=4 --set data.stack=2",
                         dir_)));
  const Result result = saddle(fmt::format("evaluate {}run --n 200", dir_));
  expect_ok(result);
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("\"of\": 100"), HasSubstr("\"kl\": "), HasSubstr("\"modes\": ")));
}

}  // namespace
}  // namespace saddle
