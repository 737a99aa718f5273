// Runs with hand-made damage, whose checksums fit: each command ends with a documented status, soon and in
// little memory, or goes on from an older checkpoint. tests/bench/damaged.sh makes 200 of them.
#include <gmock/gmock.h>

#include <cstring>
#include <map>

#include "dist/safetensors.h"
#include "tests/launch/damaged.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Case;
using test::Cases;
using test::Ended;

const std::string kNewest = "checkpoints/step-0000000004/", kManifest = kNewest + "manifest.json",
                  kTensors = kNewest + "state-00000-of-00001.safetensors";
const std::vector<std::string> kLoading = {"sample", "resume", "export", "init", "verify", "show"};

json manifest_of(const std::string& run) {
  return json::parse(read_file(run + "/" + kManifest));
}

void put_manifest(const std::string& run, json manifest) {
  if (manifest.is_object()) {
    manifest.erase("xxh3_128");
    manifest["xxh3_128"] = hash_text(manifest.dump());
  }
  test::put(run + "/" + kManifest, manifest.dump());
}

void edit_manifest(Cases& cases, const std::string& name, const std::function<void(json&)>& edit,
                   const std::vector<std::string>& commands = kLoading) {
  cases.push_back({name,
                   [edit](const std::string& run) {
                     json manifest = manifest_of(run);
                     edit(manifest);
                     put_manifest(run, manifest);
                   },
                   commands});
}

// --- Manifests ---

// Not wrong, or only for those who ask for more.
bool is_allowed(const std::string& pointer, const json& value) {
  static const std::vector<std::string> texts = {"/time", "/about/data", "/about/options/batch",
                                                 "/about/versions/saddle"};
  if (std::find(texts.begin(), texts.end(), pointer) != texts.end()) return value.is_string();
  if (pointer == "/about") return value.is_null();
  return value == json::object() && (pointer.starts_with("/about/") || pointer == "/numbers");
}

void add_types(Cases& cases) {
  for (const char* pointer : {"/format",
                              "/step",
                              "/world_size",
                              "/tensors",
                              "/time",
                              "/score",
                              "/numbers",
                              "/numbers/step",
                              "/about",
                              "/about/options",
                              "/about/options/batch",
                              "/about/versions",
                              "/about/versions/saddle",
                              "/about/data",
                              "/about/schema",
                              "/files",
                              "/files/0",
                              "/files/0/file",
                              "/files/0/bytes",
                              "/files/0/xxh3_128"})
    for (const auto& [name, value] : test::strange_values()) {
      if (is_allowed(pointer, value) ||
          (std::string(pointer) == "/score" && (value.is_null() || value.is_number())))
        continue;
      if (std::string(pointer) == "/format" && value.is_number())
        continue;  // newer formats are refused by name
      edit_manifest(cases, fmt::format("manifest {} is {}", pointer, name),
                    [pointer, value = &value](json& m) { m[json::json_pointer(pointer)] = *value; });
    }
  for (const char* key : {"format", "step", "tensors", "world_size", "numbers", "about", "files"})
    edit_manifest(cases, fmt::format("manifest without {}", key), [key](json& m) { m.erase(key); });
  edit_manifest(cases, "no manifest but a list", [](json& m) { m = json::array({m}); });
}

void add_paths(Cases& cases) {
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("../../options.toml"),
        std::string("/etc/passwd"), std::string("/dev/zero"), std::string("a/b"),
        std::string("manifest.json"), std::string("a\0b", 3), std::string(5000, 'a'),
        "../step-0000000002/" + kTensors.substr(kNewest.size())})
    edit_manifest(cases, fmt::format("manifest names '{}'", name.substr(0, 40)),
                  [name](json& m) { m["files"][0]["file"] = name; });
  edit_manifest(cases, "a file is listed twice", [](json& m) { m["files"].push_back(m["files"][0]); });
  edit_manifest(cases, "a file is listed 10,000 times", [](json& m) {
    for (int i = 0; i < 10'000; ++i) m["files"].push_back(m["files"][0]);
  });
  for (const std::string& file : {kManifest, kTensors}) {
    cases.push_back({"link that leads out at " + file,
                     [file](const std::string& run) {
                       fs::rename(run + "/" + file, run + "/outside");
                       fs::create_symlink(fs::absolute(run + "/outside"), run + "/" + file);
                     },
                     kLoading});
    cases.push_back(
        {"nothing at " + file, [file](const std::string& run) { fs::remove(run + "/" + file); }, kLoading});
  }
}

// --- Tensors ---

// The header and the tensors' bytes as they are told, with size and hash in the manifest.
void put_tensors(const std::string& run, const std::string& header, uint64_t length, const std::string& data,
                 int64_t whole = 0) {
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
  test::put(run + "/" + kTensors, bytes + header + data);
  if (whole > 0) fs::resize_file(run + "/" + kTensors, whole);
  json manifest = manifest_of(run);
  manifest["files"][0]["bytes"] = fs::file_size(run + "/" + kTensors);
  manifest["files"][0]["xxh3_128"] = whole > 0 ? "0" : hash_file(run + "/" + kTensors);
  put_manifest(run, manifest);
}

struct File {
  std::string header, data;
};

File tensors_of(const std::string& run) {
  const std::string bytes = read_file(run + "/" + kTensors);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  return {bytes.substr(sizeof length, length), bytes.substr(sizeof length + length)};
}

void edit_tensor(Cases& cases, const std::string& name, const std::function<void(json& tensor)>& edit) {
  cases.push_back({name,
                   [edit](const std::string& run) {
                     const File file = tensors_of(run);
                     json header = json::parse(file.header);
                     edit(header.begin().value());
                     put_tensors(run, header.dump(), header.dump().size(), file.data);
                   },
                   kLoading});
}

void add_headers(Cases& cases) {
  for (const char* key : {"dtype", "shape", "data_offsets"})
    for (const auto& [value_name, value] : test::strange_values()) {
      if (std::string(key) == "shape" && value == json::array()) continue;  // of a number: seen by its bytes
      edit_tensor(cases, fmt::format("tensor whose {} is {}", key, value_name),
                  [key, value = &value](json& t) { t[key] = *value; });
    }
  for (const char* shape :
       {"[1099511627776]", "[4611686018427387904,4]", "[4294967296,4294967296,4294967296]",
        "[0,4611686018427387904]", "[-1]", "[1e300]"})
    edit_tensor(cases, fmt::format("tensor of {}", shape),
                [shape](json& t) { t["shape"] = json::parse(shape); });
  for (const char* offsets : {"[0,9223372036854775807]", "[-8,8]", "[8,0]", "[0]", "[0,1,2]"})
    edit_tensor(cases, fmt::format("tensor at {}", offsets),
                [offsets](json& t) { t["data_offsets"] = json::parse(offsets); });
  for (const auto& [name, text] : test::strange_texts())
    cases.push_back(
        {"header of tensors holds " + name,
         [text = &text](const std::string& run) { put_tensors(run, *text, text->size(), "1234"); },
         kLoading});
  for (const uint64_t length : {uint64_t{0}, uint64_t{1} << 40, uint64_t{1} << 63, UINT64_MAX})
    for (const int64_t whole : {int64_t{0}, int64_t{1} << 41})
      cases.push_back({fmt::format("header of {} bytes in a file of {}", length, whole),
                       [=](const std::string& run) { put_tensors(run, "{}", length, "1234", whole); },
                       kLoading});
  cases.push_back({"tensors of other names",
                   [](const std::string& run) {
                     const File file = tensors_of(run);
                     const json whole = json::parse(file.header);
                     json header;
                     for (const auto& [name, value] : whole.items()) header["x" + name] = value;
                     put_tensors(run, header.dump(), header.dump().size(), file.data);
                   },
                   {"sample", "resume", "export"}});
}

// --- What nets are made of, and what lies beside the checkpoints ---

void add_schemas(Cases& cases) {
  const auto edit = [&](const std::string& name, const char* pointer, const json& value) {
    edit_manifest(cases, "schema: " + name,
                  [=](json& m) { m["about"]["schema"][json::json_pointer(pointer)] = value; },
                  {"sample", "export"});
  };
  edit("two to the 40 classes", "/fields/1/classes", int64_t{1} << 40);
  edit("two to the 62 classes", "/fields/1/classes", int64_t{1} << 62);
  edit("a trillion elements", "/fields/0/shape", {1 << 20, 1 << 20});
  edit("more elements than 64 bits", "/fields/0/shape", {1 << 30, 1 << 30, 1 << 30});
  edit("100 million elements", "/fields/0/shape", {100'000'000});
  edit("no fields", "/fields", json::array());
  edit("10,000 fields", "/fields",
       std::vector<json>(10'000, {{"name", "x"}, {"dtype", "uint8"}, {"shape", {1}}}));
  edit("1,000 extents", "/fields/0/shape", std::vector<int>(1000, 1));
  for (const auto& [name, value] : test::strange_values()) {
    edit("shape is " + name, "/fields/0/shape/0", value);
    if (!value.is_string()) edit("dtype is " + name, "/fields/0/dtype", value);
  }
}

void add_others(Cases& cases) {
  test::add_kinds(cases, "options.toml", {"sample", "resume"});
  for (const auto& [name, text] :
       std::map<std::string, std::string>{{"brackets", "a = " + std::string(200'000, '[')},
                                          {"dots",
                                           [] {
                                             std::string all = "a";
                                             for (int i = 0; i < 200'000; ++i) all += ".a";
                                             return all + " = 1";
                                           }()},
                                          {"zeros", std::string(4096, '\0')},
                                          {"a long key", std::string(1 << 20, 'k') + " = 1"},
                                          {"a long text", "system = '" + std::string(1 << 20, 'x') + "'"},
                                          {"a folder of commas", "system = 'gan-ns'\n[data]\nfolder = 'a=b" +
                                                                     std::string(1 << 20, ',') + "'"},
                                          {"other types", "system = 'gan-ns'\nbatch = 'many'"},
                                          {"lists", "system = ['gan-ns']"},
                                          {"nothing", ""}})
    cases.push_back({"options.toml holds " + name,
                     [text = text](const std::string& run) { test::put(run + "/options.toml", text); },
                     {"sample", "resume"}});
  for (const char* name : {"log.jsonl", "run.lock"})
    for (const auto& [kind, make] : test::strange_kinds()) {
      if (kind == "endless file") continue;  // read as it is, or waited for as somebody else's
      cases.push_back({fmt::format("{} is a {}", name, kind),
                       [name, make = make](const std::string& run) {
                         fs::remove(run + "/" + name);
                         make(run + "/" + name);
                       },
                       {"resume"}});
    }
  test::add_kinds(cases, "tournament.json", {"resume"});
  std::erase_if(cases, [](const Case& each) { return each.name == "tournament.json is a dangling link"; });
  test::add_texts(cases, "tournament.json", {"resume"});
  for (const int64_t position : {int64_t{-1}, INT64_MAX})
    edit_manifest(cases, fmt::format("position {}", position),
                  [=](json& m) { m["numbers"]["loader.position"] = position; }, {"resume"});
  cases.push_back({"every manifest is damaged",
                   [](const std::string& run) {
                     for (const char* step : {"2", "4"})
                       test::put(fmt::format("{}/checkpoints/step-000000000{}/manifest.json", run, step),
                                 std::string(200'000, '['));
                   },
                   kLoading});
  cases.push_back({"a checkpoint of another step",
                   [](const std::string& run) {
                     fs::rename(run + "/checkpoints/step-0000000004", run + "/checkpoints/step-0000000006");
                   },
                   {"sample", "resume", "verify"}});
  test::add_kinds(cases, "checkpoints/step-0000000004", {"sample", "resume", "verify"});
}

Cases all_cases() {
  Cases cases;
  add_types(cases);
  test::add_texts(cases, kManifest, kLoading);
  test::add_kinds(cases, kManifest, kLoading);
  test::add_kinds(cases, kTensors, kLoading);
  add_paths(cases);
  add_headers(cases);
  add_schemas(cases);
  add_others(cases);
  return cases;
}

class DamagedCheckpoints : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new test::Folder;
    expect_done({"pack", "ring8", "--samples", "64", "--seed", "1", "--out", *folder_ / "ring"});
    expect_done(train({"--out", *folder_ / "base", "--steps", "4", "--set", "checkpoint.every=2"}));
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::vector<std::string> train(const std::vector<std::string>& more) {
    std::vector<std::string> words = {"train",    "gan-ns", "--data",    *folder_ / "ring", "--set",
                                      "batch=16", "--set",  "g.width=8", "--set",           "d.width=8"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  static void expect_done(const std::vector<std::string>& words) {
    const Ended ended = test::run_saddle(words, folder_->path());
    ASSERT_EQ(ended.status, 0) << ended.output;
  }
  static std::vector<std::string> command(const std::string& name) {
    const std::string run = *folder_ / "run", out = *folder_ / "out";
    if (name == "sample") return {"sample", run, "--n", "4", "--out", out + ".safetensors"};
    if (name == "resume") return {"train", "--out", run, "--resume", "--steps", "5"};
    if (name == "export") return {"export", run, "--to", "safetensors", "--out", out + ".safetensors"};
    if (name == "init") return train({"--out", out, "--steps", "1", "--init-from", run});
    if (name == "verify") return {"checkpoints", run, "--verify"};
    return {"checkpoints", run, "--step", "4"};
  }

  static test::Folder* folder_;
};
test::Folder* DamagedCheckpoints::folder_ = nullptr;

TEST_F(DamagedCheckpoints, EndWellOrAnOlderOneIsTaken) {
  size_t number = 0;
  for (const Case& each : test::some_of(all_cases())) {
    const std::string run = *folder_ / "run", name = each.commands[number++ % each.commands.size()];
    fs::copy(*folder_ / "base", run, fs::copy_options::recursive);
    each.damage(run);
    const Ended ended = test::run_saddle(command(name), folder_->path());
    const std::string what = fmt::format("{}: {} ended with {}", each.name, name, ended.status);
    const bool older = ended.status == 0 && ended.output.find("trying the one before") != std::string::npos;
    EXPECT_TRUE(older || test::is_refusal(ended)) << what << "\n" << ended.output.substr(0, 2000);
    test::expect_soon(ended, what);
    test::tabulate(each.name, name, ended);
    fs::remove_all(run);
    fs::remove_all(*folder_ / "out");
  }
}

}  // namespace
}  // namespace saddle
