// saddle pack: a source -> a folder of shards, by all ranks together.
#include "data/pack/pack.h"

#include "data/check/account.h"
#include "dist/error.h"
#include "dist/utf8.h"
#include "launch/commands.h"
#include "launch/run/cores.h"
#include "models/gan.h"

namespace saddle {
namespace {

std::optional<ImageSize> parse_size(const std::string& text) {
  if (text.empty()) return {};
  ImageSize size;
  char rest;
  int found = std::sscanf(text.c_str(), "%ldx%ld%c", &size.height, &size.width, &rest);
  if (found == 1 && text.find_first_not_of("0123456789") == std::string::npos)
    size.width = size.height, found = 2;
  require(found == 2 && size.height > 0 && size.width > 0, Exit::usage,
          "--size: expected HEIGHTxWIDTH such as 64x64, or one number for both, found {}", text);
  return size;
}

int64_t bytes_of(const Index& index) {
  int64_t sum = 0;
  for (const ShardInfo& shard : index.shards) sum += shard.bytes;
  return sum;
}

void say(const Packed& packed, const PackRequest& request) {
  const Index& index = packed.index;
  fmt::print("{} {}: {} samples of {}, {:.1f} MiB in {} shard{} under {}\n",
             packed.already ? "already packed" : "packed", printable(request.source), index.count,
             printable(describe(index.schema)), double(bytes_of(index)) / (1 << 20), index.shards.size(),
             index.shards.size() == 1 ? "" : "s", printable(packed.folder));
  std::vector<AccountRow> rows = account_rows(index), classes = class_rows(index.schema);
  rows.insert(rows.begin() + (rows.empty() ? 0 : 1), classes.begin(), classes.end());
  for (const auto& [what, value] : rows) fmt::print("  {:<10} {}\n", what, printable(value));
}

// A recipe that takes such data; "" where none does yet.
std::string fitting_recipe(const Schema& schema) try {
  const Field& main = main_field(schema);
  if (main.variable || main.shape.size() == 2 || main.shape.size() > 3) return "RECIPE";
  if (main.shape.size() < 3) return "gan-ns";
  return schema.has("label") ? "cgan" : "dcgan";
} catch (const Error&) {
  return "";
}

int run(World& world, PackRequest request, const std::string& size) {
  const Comm comm = world.comm("cpu");
  comm.together([&] { request.size = parse_size(size); });
  if (request.size)  // however it was written
    request.given["size"] = fmt::format("{}x{}", request.size->height, request.size->width);
  if (request.threads == 0) request.threads = compute_threads(comm).count;
  const std::vector<Packed> all = pack(request, comm);
  if (comm.rank() != 0) return 0;
  for (const Packed& packed : all) say(packed, request);
  const Packed& first = all.front();
  const std::string recipe = fitting_recipe(first.index.schema);
  fmt::print("next: saddle check {0}{1}\n", printable(first.folder),
             recipe.empty() ? "   (no system here draws such data)"
                            : fmt::format("   or   saddle train {} --data {} --out RUN", recipe,
                                          printable(first.folder)));
  return 0;
}

// Flags that only some kinds of source heed: PackRequest::given remembers which were used, and how.
class Flags {
 public:
  Flags(CLI::App& app, std::shared_ptr<PackRequest> request) : app_(app), request_(std::move(request)) {}

  template <class Value>
  CLI::Option* add(const std::string& name, Value& value, const std::string& help) {
    return app_.add_option("--" + name, value, help)
        ->each([request = request_, name](const std::string& value) { request->given[name] = value; });
  }

 private:
  CLI::App& app_;
  std::shared_ptr<PackRequest> request_;
};

void add_picture_flags(Flags flags, PackRequest& r, std::string& size) {
  flags.add("size", size, "HEIGHTxWIDTH in pixels, or one number for both (default: the source's)");
  flags.add("channels", r.channels, "1 grey, 3 RGB, 4 RGBA (default: the source's, alpha blended)")
      ->check(CLI::IsMember({1, 3, 4}));
  flags.add("bits", r.bits, "8 or 16 a channel (default: the source's)")->check(CLI::IsMember({8, 16}));
  flags.add("filter", r.filter, "Antialiased resize, as Pillow computes it (default: bilinear)")
      ->check(CLI::IsMember({"box", "bilinear", "bicubic", "lanczos"}));
  flags.add("crop", r.crop, "To the wanted aspect: center; none stretches; pad keeps all (default: center)")
      ->check(CLI::IsMember({"center", "none", "pad"}));
  flags
      .add("exif", r.exif,
           "Of turned photographs: upright turns them as EXIF says, keep does not (default: upright)")
      ->check(CLI::IsMember({"upright", "keep"}));
  flags.add("background", r.background,
            "RRGGBB behind transparent pixels and around padded ones (default: black)");
  flags.add("pair", r.pair, "A second folder, ZIP, font or volume, matched by name: fields a and b");
  flags.add("derive", r.derive, "Field b made of a: edges, grey, down2, down4, down8")
      ->check(CLI::IsMember({"edges", "grey", "down2", "down4", "down8"}));
  flags.add("mask", r.mask, "Masks or label maps, matched by name: field mask");
  flags.add("attributes", r.attributes, "CSV file: file name, then a column an attribute");
  flags.add("classes", r.classes,
            "File of class names, one a line, that of class 0 first (default: those of the source, sorted)");
}

void add_table_flags(Flags flags, PackRequest& r) {
  flags.add(
      "separator", r.separator,
      "Between the cells of a table: comma, semicolon, tab, space or the character (default: as it shows)");
  flags.add("decimal", r.decimal, "Decimal mark of a table: point or comma (default: as it shows)")
      ->transform([](std::string text) { return text == ","   ? "comma"
                                                : text == "." ? "point"
                                                              : text; })
      ->check(CLI::IsMember({"point", "comma"}));
}

void add_array_flags(Flags flags, PackRequest& r) {
  flags.add("axes", r.axes, "Of an array where they are ambiguous; none: it holds no pictures")
      ->check(CLI::IsMember({"auto", "NHW", "NCHW", "NHWC", "none"}));
  flags.add("slices", r.slices, "Of volumes: one sample a slice")
      ->check(CLI::IsMember({"axial", "coronal", "sagittal"}));
  flags.add("patch", r.patch, "Of volumes: DxHxW or one number, one sample a block");
  flags.add(
      "range", r.range,
      "LOW:HIGH, the values that become black and white (default: of a volume its own; of arrays -1:1 of "
      "floats, 0:255 of integers)");
  flags.add("tokens", r.tokens, "Of text: char or word (default: char)")
      ->check(CLI::IsMember({"char", "word", "smiles"}));
  flags.add("length", r.length, "Longest sequence in tokens, or clip in frames (default: the source's)")
      ->check(CLI::PositiveNumber);
  flags.add("vocabulary", r.vocabulary, "Most frequent words kept (default: all)")
      ->check(CLI::PositiveNumber);
  flags.add("characters", r.characters, "Of a font: what is drawn (default: letters and digits)");
  flags.add("split", r.split, "Which part of an archive that has parts: train, test, ... (default: train)");
}

void add_choice_flags(CLI::App& pack, PackRequest& r) {
  pack.add_option(
          "--samples", r.samples,
          "Number of samples, evenly spread over the source (default: all; 100000 of a generated set)")
      ->check(CLI::PositiveNumber);
  pack.add_option("--subset", r.subset, "Share such as 10% or 0.1 of every class, chosen by --seed");
  pack.add_option("--validation", r.validation,
                  "Share such as 10% or 0.1 that goes to OUT/validation, the rest to OUT/train");
  pack.add_option("--seed", r.seed, "Of generated sets and of what is chosen")->capture_default_str();
  pack.add_flag("--skip-bad", r.skip_bad, "Leave out damaged samples instead of failing");
  pack.add_option(
          "--max-sample-mib", r.max_sample_mib,
          "Most memory in MiB that one sample takes as it is read: a picture, a clip, a volume, an item of "
          "an array, or a file that has to be read whole; larger ones are damaged")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
}

void add_output_flags(CLI::App& pack, PackRequest& r) {
  pack.add_option("--as", r.as, "Kind of source, where the first that takes it is not the one meant");
  pack.add_option("--shard-mib", r.shard_mib,
                  "Size of a shard in MiB, of which a rank holds one in memory (default: a sixteenth of the "
                  "data set, 4 to 256)")
      ->check(CLI::PositiveNumber);
  pack.add_option("--compress", r.compress, "Deflate level 1 to 9; 0 none, which reads fastest")
      ->check(CLI::Range(0, 9))
      ->capture_default_str();
  pack.add_option("--threads", r.threads,
                  "Threads that decode, a rank (default: OMP_NUM_THREADS, or its share of the cores)")
      ->check(CLI::PositiveNumber);
  pack.add_flag("--force", r.force, "Replace what is in the folder");
}

}  // namespace

void add_pack(CLI::App& app, Command& chosen) {
  auto request = std::make_shared<PackRequest>();
  auto size = std::make_shared<std::string>();
  CLI::App* pack = app.add_subcommand(
      "pack",
      "Turn pictures, arrays, volumes, text or a generated set into shards; under mpirun by all ranks");
  pack->add_option("SOURCE", request->source, "One of" + importer_help())->required();
  pack->add_option("--out", request->out,
                   "Folder to write, made if absent; an interrupted pack goes on there")
      ->required();
  add_picture_flags({*pack, request}, *request, *size);
  add_table_flags({*pack, request}, *request);
  add_array_flags({*pack, request}, *request);
  add_choice_flags(*pack, *request);
  add_output_flags(*pack, *request);
  pack->callback([=, &chosen] { chosen = [=](World& world) { return run(world, *request, *size); }; });
}

}  // namespace saddle
