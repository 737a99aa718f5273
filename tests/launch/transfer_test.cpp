// saddle export, import and train --init-from as users start them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "dist/file.h"
#include "dist/safetensors.h"
#include "tests/launch/checkpoint_files.h"
#include "tests/support/shell.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Result;
using test::shell;
using testing::HasSubstr;
using testing::Not;

class TransferCli : public testing::Test {
 protected:
  std::string dir_ = testing::TempDir() + "saddle_transfer_" + std::to_string(::getpid()) + "/";

  void SetUp() override {
    fs::create_directories(dir_);
    run("pack ring8 --samples 500 --seed 1 --out ring");
    run(train("base", "--steps 6 --set seed=1"));
  }
  void TearDown() override { fs::remove_all(dir_); }

  Result saddle(const std::string& arguments, int ranks = 0) const {
    return shell("cd " + dir_ + " && " + test::on_ranks(ranks) + "timeout 120 " SADDLE_BINARY " " +
                 arguments);
  }
  std::string run(const std::string& arguments, int ranks = 0) const {
    const Result result = saddle(arguments, ranks);
    EXPECT_EQ(result.status, 0) << arguments << "\n" << result.output;
    return result.output;
  }
  void expect_error(const Result& result, int status, const std::string& text) const {
    EXPECT_EQ(result.status, status) << result.output;
    EXPECT_THAT(result.output, HasSubstr(text));
  }
  static std::string train(const std::string& out, const std::string& more) {
    return "train gan-ns --data ring --out " + out + " --set batch=16 --set g.width=8 --set d.width=8 " +
           more;
  }
  std::string checkpoint(const std::string& out, int64_t step) const {
    return test::checkpoint_folder(dir_ + out, step) + "/";
  }
  std::map<std::string, torch::Tensor> state(const std::string& out, int64_t step) const {
    return test::checkpoint_tensors(dir_ + out, step);
  }
  json origin(const std::string& out, int64_t step) const {
    return json::parse(read_file(checkpoint(out, step) + "manifest.json"))
        .at("about")
        .value("init_from", json());
  }
};

void expect_equal(const std::map<std::string, torch::Tensor>& a,
                  const std::map<std::string, torch::Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) EXPECT_TRUE(torch::equal(tensor, b.at(name))) << name;
}

TEST_F(TransferCli, ARequeuedJobTakesItsStartOnce) {
  const std::string flags = "--set seed=2 --set checkpoint.every=2 --init-from base --resume --steps ";
  EXPECT_THAT(run(train("straight", flags + "4"), 2), HasSubstr("from 'base': 24 tensors taken"));
  run(train("requeued", flags + "2"), 2);
  const std::string again = run(train("requeued", flags + "4"), 2);
  EXPECT_THAT(again, HasSubstr("resuming"));
  EXPECT_THAT(again, Not(HasSubstr("taken")));
  expect_equal(state("straight", 4), state("requeued", 4));
  for (const char* out : {"straight", "requeued"}) {
    EXPECT_EQ(origin(out, 4)["step"], 6) << out;
    EXPECT_EQ(origin(out, 4)["taken"], 24) << out;
  }
  run(train("plain", "--set seed=2 --steps 4"));
  EXPECT_TRUE(origin("plain", 4).is_null());
  EXPECT_FALSE(
      torch::equal(state("plain", 4).at("G.main.0.weight"), state("straight", 4).at("G.main.0.weight")));
}

TEST_F(TransferCli, WhatCannotBeTakenIsOneError) {
  for (const int ranks : {0, 2}) {
    expect_error(saddle(train("x", "--init-from nowhere"), ranks), 64, "expected a run folder or");
    expect_error(saddle(train("x", "--init-from ring"), ranks), 64, "there is no checkpoint in it");
  }
  expect_error(
      saddle(train("y",
                   "--init-from base --set g.width=9 --set d.width=9 --set g.depth=1 --set d.depth=1 "
                   "--set latent=3")),
      64, "no tensor has a name and shape");
}

TEST_F(TransferCli, WhatIsExportedImportsAndDrawsTheSame) {
  run("export base --to safetensors --out g.safetensors");
  EXPECT_THAT(run("import g.safetensors --recipe base/options.toml --shape 2 --out imported"),
              HasSubstr("net D"));
  for (const char* from : {"base", "imported"})
    run(fmt::format("sample {} --n 700 --seed 4 --out {}.safetensors", from, from));
  const auto samples = read_safetensors(dir_ + "base.safetensors");
  EXPECT_EQ(samples.at("x").sizes(), (std::vector<int64_t>{700, 2}));
  EXPECT_EQ(samples.at("z").sizes(), (std::vector<int64_t>{700, 16}));
  expect_equal(samples, read_safetensors(dir_ + "imported.safetensors"));
  EXPECT_THAT(run("export base --to torchscript --out g.pt", 2), HasSubstr("differs by at most"));
  run(train("further", "--init-from imported --steps 2"));
  run(train("from_file", "--init-from g.safetensors --steps 2"));
}

TEST_F(TransferCli, WhatTheMapLeavesOutMayBeOfAnyDtype) {
  run("export base --to safetensors --out g.safetensors");
  const std::string file = read_file(dir_ + "g.safetensors");
  uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  auto header = nlohmann::json::parse(file.substr(8, length));
  uint64_t at = file.size() - 8 - length;
  for (const char* dtype : {"F8_E4M3", "U32", "BOOL", "F4"}) {
    header[std::string("old.") + dtype] = {{"dtype", dtype}, {"shape", {4}}, {"data_offsets", {at, at + 16}}};
    at += 16;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t longer = text.size();
  std::string more(reinterpret_cast<const char*>(&longer), sizeof longer);
  more += text + file.substr(8 + length);
  more.append(64, '\1');
  write_file(dir_ + "more.safetensors", more);
  const std::string import = "import more.safetensors --recipe base/options.toml --shape 2 --out imported ";
  expect_error(saddle(import), 65, "of dtype F8_E4M3, which is not read");
  run(import + "--map 'old.*='");
}

TEST_F(TransferCli, WhatDoesNotImportMakesNoRun) {
  run("export base --to safetensors --out g.safetensors");
  const std::string import = "import g.safetensors --recipe base/options.toml --out imported ";
  expect_error(saddle(import), 64, "--shape");
  expect_error(saddle(import + "--shape 3"), 64, "G.main.3.weight [2, 8]: is [3, 8] here");
  expect_error(saddle(import + "--shape 2 --map 'G.main.0.*=G.first.*'"), 64,
               "G.main.0.bias [8] -> G.first.bias");
  expect_error(saddle("import base/options.toml --recipe gan --shape 2 --out imported"), 65,
               "base/options.toml");
  expect_error(saddle("export base --to torchscript --net E --out g.pt"), 64, "the nets G, D");
  EXPECT_FALSE(fs::exists(dir_ + "imported"));
  EXPECT_FALSE(fs::exists(dir_ + "g.pt"));
}

}  // namespace
}  // namespace saddle
