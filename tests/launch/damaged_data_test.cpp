// Data sets with hand-made damage, whose checksums fit: each command ends with a documented status, soon and
// in little memory. tests/bench/damaged.sh makes 200 of them.
#include <gmock/gmock.h>
#include <hdf5.h>

#include "data/store/index.h"
#include "data/store/shard_writer.h"
#include "tests/data/samples.h"
#include "tests/launch/damaged.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Case;
using test::Cases;
using test::Ended;

const std::string kShard = "shard-00000.h5";
const std::vector<std::string> kReading = {"check", "train", "unpack"};

Schema schema() {
  return {{test::field("x", {16}, torch::kFloat),
           test::field("label", {}, torch::kLong, 5),
           {.name = "tokens",
            .shape = {6},
            .dtype = torch::kInt,
            .classes = 9,
            .class_names = {},
            .variable = true}}};
}

void write(const std::string& folder, const Batch& samples, int64_t compress) {
  ShardWriter writer(folder, schema(), 1 << 20, compress);
  writer.append(samples);
  writer.finish({{"source", "test"}});
}

void edit_index(Cases& cases, const std::string& name, const std::function<void(json&)>& edit,
                const std::vector<std::string>& commands = kReading) {
  cases.push_back({name,
                   [edit](const std::string& folder) {
                     json index = json::parse(read_file(folder + "/" + kIndexFile));
                     edit(index);
                     test::put(folder + "/" + kIndexFile, index.dump());
                   },
                   commands});
}

void add_types(Cases& cases) {
  for (const char* pointer : {"/format",
                              "/count",
                              "/fingerprint",
                              "/schema",
                              "/schema/fields",
                              "/schema/fields/0",
                              "/schema/fields/0/name",
                              "/schema/fields/0/shape",
                              "/schema/fields/0/shape/0",
                              "/schema/fields/0/dtype",
                              "/schema/fields/1/classes",
                              "/schema/fields/2/variable",
                              "/shards",
                              "/shards/0",
                              "/shards/0/file",
                              "/shards/0/count",
                              "/shards/0/bytes",
                              "/shards/0/digest",
                              "/shards/0/extents",
                              "/shards/0/extents/0",
                              "/shards/0/extents/0/bytes",
                              "/shards/0/extents/0/data",
                              "/shards/0/extents/1/checksums",
                              "/shards/0/extents/2/ends"})
    for (const auto& [name, value] : test::strange_values()) {
      const bool same_kind = std::string(pointer).ends_with("variable") ? value.is_boolean()
                             : std::string(pointer).ends_with("name")   ? value.is_string()
                                                                        : false;
      if (same_kind || (std::string(pointer).ends_with("shape") && value == json::array())) continue;
      edit_index(cases, fmt::format("index {} is {}", pointer, name),
                 [pointer, value = &value](json& index) { index[json::json_pointer(pointer)] = *value; });
    }
  for (const char* key : {"format", "count", "fingerprint", "schema", "shards", "provenance"})
    edit_index(cases, fmt::format("index without {}", key), [key](json& index) { index.erase(key); });
}

void add_claims(Cases& cases) {
  const auto edit = [&](const std::string& name, const std::vector<std::pair<const char*, json>>& changes) {
    edit_index(cases, "claims " + name, [=](json& index) {
      for (const auto& [pointer, value] : changes) index[json::json_pointer(pointer)] = value;
    });
  };
  for (const int power : {24, 31, 40, 62}) {
    const int64_t many = int64_t{1} << power;
    edit(fmt::format("2^{} classes", power), {{"/schema/fields/1/classes", many}});
    edit(fmt::format("2^{} steps", power), {{"/schema/fields/2/shape/0", many}});
    edit(fmt::format("2^{} elements", power), {{"/schema/fields/0/shape/0", many}});
    edit(fmt::format("2^{} samples", power), {{"/count", many}, {"/shards/0/count", many}});
    edit(fmt::format("2^{} bytes of a field", power), {{"/shards/0/extents/0/bytes", many}});
    edit(fmt::format("a place at 2^{}", power), {{"/shards/0/extents/0/checksums", many}});
    edit(fmt::format("chunks of 2^{} bytes", power),
         {{"/shards/0/extents/0/chunk_bytes", many}, {"/shards/0/extents/0/chunks", 0}});
  }
  edit("10,000 shards of the same file",
       {{"/shards", [] {
           return std::vector<json>(10'000, {{"file", kShard}, {"count", 1}, {"bytes", 1}, {"digest", ""}});
         }()}});
  edit("10,000 fields",
       {{"/schema/fields", std::vector<json>(10'000, {{"name", "x"}, {"dtype", "uint8"}, {"shape", {1}}})}});
  for (const int64_t bytes : {int64_t{1} << 33, int64_t{1} << 40})
    cases.push_back({fmt::format("a shard that is a hole of {} bytes", bytes),
                     [=](const std::string& folder) {
                       json index = json::parse(read_file(folder + "/" + kIndexFile));
                       const int64_t count = bytes / 256;
                       json& shard = index["shards"][0];
                       index["count"] = shard["count"] = count, shard["bytes"] = bytes;
                       shard["extents"] = {
                           {{"bytes", count * 64}, {"data", 0}, {"checksums", bytes / 2}},
                           {{"bytes", count * 8}, {"data", 0}, {"checksums", bytes / 2}},
                           {{"bytes", 24}, {"data", 0}, {"checksums", bytes / 2}, {"ends", 0}}};
                       test::put(folder + "/" + kIndexFile, index.dump());
                       fs::resize_file(folder + "/" + kShard, bytes);
                     },
                     kReading});
}

void add_paths(Cases& cases) {
  for (const std::string& file :
       {std::string(), std::string("."), std::string(".."), std::string("/etc/passwd"), "../" + kShard,
        std::string("/dev/zero"), std::string("a\0b", 3), std::string(5000, 'a'),
        std::string("dataset.json")})
    edit_index(cases, fmt::format("a shard called '{}'", file.substr(0, 40)),
               [file](json& index) { index["shards"][0]["file"] = file; });
  for (const char* fingerprint : {"../../../x", "/x", "x\n\x1b[2J"})
    edit_index(cases, fmt::format("fingerprint '{}'", json(fingerprint).dump()),
               [fingerprint](json& index) { index["fingerprint"] = fingerprint; });
  cases.push_back(
      {"no shard", [](const std::string& folder) { fs::remove(folder + "/" + kShard); }, kReading});
  cases.push_back(
      {"no index", [](const std::string& folder) { fs::remove(folder + "/" + kIndexFile); }, kReading});
  cases.push_back({"no bytes said of a fifo",
                   [](const std::string& folder) {
                     json index = json::parse(read_file(folder + "/" + kIndexFile));
                     index["shards"][0]["bytes"] = 0;
                     test::put(folder + "/" + kIndexFile, index.dump());
                     fs::remove(folder + "/" + kShard);
                     ASSERT_EQ(mkfifo((folder + "/" + kShard).c_str(), 0600), 0);
                   },
                   kReading});
}

// --- Shards ---

void add_shards(Cases& cases) {
  const auto edit = [&](const std::string& name, const std::function<void(std::string&)>& change,
                        const std::vector<std::string>& commands = kReading) {
    cases.push_back({"shard: " + name,
                     [change](const std::string& folder) {
                       std::string bytes = read_file(folder + "/" + kShard);
                       change(bytes);
                       test::put(folder + "/" + kShard, bytes);
                     },
                     commands});
  };
  for (const int sixteenth : {1, 5, 9, 13, 15})
    edit(fmt::format("cut to {}/16", sixteenth),
         [=](std::string& b) { b.resize(b.size() * size_t(sixteenth) / 16); });
  edit("longer", [](std::string& b) { b += "more"; });
  edit("all zeros", [](std::string& b) { b.assign(b.size(), '\0'); });
  edit("all ones", [](std::string& b) { b.assign(b.size(), '\xff'); });
  edit("no signature", [](std::string& b) { b[1] ^= 1; }, {"check"});
  edit("backwards", [](std::string& b) { std::reverse(b.begin(), b.end()); });
  const auto bad = [&](const std::string& name, const std::function<void(Batch&)>& change) {
    for (const int64_t compress : {0, 6})
      cases.push_back({fmt::format("{}, compress {}", name, compress),
                       [=](const std::string& folder) {
                         Batch samples = test::samples(schema(), 200);
                         change(samples);
                         write(folder, samples, compress);
                       },
                       {"check", "train"}});
  };
  bad("a label at the classes", [](Batch& b) { b["label"][7].fill_(5); });
  bad("a label below zero", [](Batch& b) { b["label"][150].fill_(-1); });
  bad("the largest label", [](Batch& b) { b["label"][0].fill_(INT64_MAX); });
  bad("a token at the classes", [](Batch& b) { b["tokens"][3][0].fill_(9); });
  bad("not a number", [](Batch& b) { b["x"][3][0].fill_(std::nan("")); });
  std::erase_if(cases, [](const Case& each) { return each.name == "not a number, compress 6"; });
  for (Case& each : cases)
    if (each.name.starts_with("not a number")) each.commands = {"check"};
}

void add_links(Cases& cases) {
  const auto change = [&](const std::string& name, const std::function<void(hid_t)>& work) {
    cases.push_back({"HDF5: " + name,
                     [work](const std::string& folder) {
                       fs::copy_file(folder + "/" + kShard, folder + "/other.bin");
                       const hid_t file = H5Fopen((folder + "/" + kShard).c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
                       ASSERT_GE(file, 0);
                       work(file);
                       H5Fclose(file);
                       json index = json::parse(read_file(folder + "/" + kIndexFile));
                       index["shards"][0]["bytes"] = fs::file_size(folder + "/" + kShard);
                       test::put(folder + "/" + kIndexFile, index.dump());
                     },
                     {"check"}});
  };
  for (const char* path : {"x", "label", "tokens", ".checksums/x", ".ends/tokens"}) {
    change(fmt::format("external link at {}", path), [path](hid_t file) {
      H5Ldelete(file, path, H5P_DEFAULT);
      H5Lcreate_external("other.bin", path, file, path, H5P_DEFAULT, H5P_DEFAULT);
    });
    change(fmt::format("soft link at {}", path), [path](hid_t file) {
      H5Lmove(file, path, file, "elsewhere", H5P_DEFAULT, H5P_DEFAULT);
      H5Lcreate_soft("/elsewhere", file, path, H5P_DEFAULT, H5P_DEFAULT);
    });
    change(fmt::format("nothing at {}", path), [path](hid_t file) { H5Ldelete(file, path, H5P_DEFAULT); });
  }
}

Cases all_cases() {
  Cases cases;
  add_types(cases);
  add_claims(cases);
  add_paths(cases);
  test::add_texts(cases, kIndexFile, kReading);
  test::add_kinds(cases, kIndexFile, kReading);
  test::add_kinds(cases, kShard, kReading);
  add_shards(cases);
  add_links(cases);
  return cases;
}

std::vector<std::string> command(const std::string& name, const test::Folder& folder) {
  if (name == "check") return {"check", folder / "set"};
  if (name == "unpack") return {"unpack", folder / "set", "--to", folder / "out"};
  return {"train", "gan-ns",       "--data",  folder / "set",
          "--out", folder / "out", "--steps", "20",
          "--set", "batch=16",     "--set",   "g.width=8",
          "--set", "d.width=8",    "--set",   "data.stage=" + (folder / "staged")};
}

TEST(DamagedData, EndsWell) {
  const test::Folder folder;
  const std::string set = folder / "set";
  size_t number = 0;
  for (const Case& each : test::some_of(all_cases())) {
    fs::create_directory(set);
    write(set, test::samples(schema(), 200), 0);
    each.damage(set);
    const std::string name = each.commands[number++ % each.commands.size()];
    const Ended ended = test::run_saddle(command(name, folder), folder.path());
    const std::string what = fmt::format("{}: {} ended with {}", each.name, name, ended.status);
    EXPECT_TRUE(test::is_refusal(ended)) << what << "\n" << ended.output.substr(0, 2000);
    test::expect_soon(ended, what);
    test::tabulate(each.name, name, ended);
    for (const std::string& made : {set, folder / "out", folder / "staged"}) fs::remove_all(made);
  }
}

}  // namespace
}  // namespace saddle
