// What can be packed. An importer turns a request into a Source; adding a format is one file and one row of
// the table in importers.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/pack/files/walk.h"
#include "data/schema.h"
#include "data/view/resize.h"

namespace saddle {

inline constexpr int64_t kMaxSampleMib = 1024;

// What `saddle pack` is asked for. Importers read what concerns them; those that a flag cannot concern are
// refused by name in pack.cpp (see Importer::flags).
struct PackRequest {
  std::string source;    // a file, a folder or the name of a generated set
  std::string out = {};  // folder to write
  std::string as = {};   // name of the importer; empty: the first that accepts the source
  // Flags that were given, by name without dashes, as they were written: the others are refused where they
  // would mean nothing, and these tell one pack from another.
  std::map<std::string, std::string> given = {};
  bool was_given(const std::string& flag) const { return given.contains(flag); }

  // Pictures.
  std::optional<ImageSize> size = {};  // none: the source's
  int64_t channels = 0;             // 1 grey, 3 RGB, 4 RGBA; 0: the source's, RGBA blended over `background`
  int64_t bits = 0;                 // 8 or 16; 0: the source's
  std::string filter = "bilinear";  // box, bilinear, bicubic, lanczos: antialiased, as Pillow computes them
  std::string crop = "center";      // center; none (stretch); pad (with `background`)
  std::string exif = "upright";     // upright: pictures are turned as their EXIF says; keep: they are not
  std::string background = "000000";  // RRGGBB behind transparent pixels and around padded ones

  // What is made of them.
  std::string pair = {};        // a second folder of pictures, matched by name: fields a and b
  std::string derive = {};      // field b made of a: edges, grey, or down2, down4, down8
  std::string mask = {};        // a folder of masks, matched by name: field mask
  std::string attributes = {};  // a CSV file: file name, then one column an attribute
  std::string classes = {};     // a file of class names, one a line, by number; empty: those that are there

  // Tables; empty: as the table shows.
  std::string separator = {};  // comma, semicolon, tab, space, or the character
  std::string decimal = {};    // point, comma

  // Arrays, volumes, sequences.
  std::string axes = "auto";  // of arrays of pictures: auto, NHW, NCHW, NHWC; none: they are no pictures
  std::string slices = {};    // of volumes: axial, coronal, sagittal; empty: whole volumes or patches
  std::string patch = {};     // of volumes: DxHxW
  std::string range = {};     // LOW:HIGH, values that become black and white; empty: of a volume each its own
  std::string tokens = "char";  // of text: char, word or smiles
  int64_t length = 0;           // longest sequence, or frames of a clip; 0: the source's longest
  int64_t vocabulary = 0;       // most frequent words kept; 0: all
  std::string characters = {};  // of fonts: what is drawn; empty: letters and digits

  // Which samples.
  int64_t samples = 0;          // 0: all there are, 100,000 of a generated set
  std::string subset = {};      // "10%": so many, by class where labels exist, chosen by `seed`
  std::string validation = {};  // "10%": so many go to OUT/validation, the others to OUT/train
  std::string split = "train";  // which part of an archive that has parts
  uint64_t seed = 0;            // of generated sets and of the choice

  // How they are written.
  int64_t shard_mib = 0;  // 0: a sixteenth of the data set, within 4 and 256
  int64_t compress = 0;   // deflate level 1 to 9; 0: none
  int64_t threads = 0;    // 0: this rank's share of the cores
  bool skip_bad = false;
  bool force = false;
  // What one sample may take in memory before it is cropped and resized, or a file or chunk that is read
  // whole; see room.h.
  int64_t max_sample_mib = kMaxSampleMib;
  int64_t most_bytes() const { return max_sample_mib << 20; }
};

struct Source {
  Schema schema = {};
  int64_t count = 0;
  // Sample i as a batch of one, in the schema's dtypes, on the host; of a variable field its own length, [1,
  // length, ...]. Exit::data names the file if it is damaged. Called from several threads at once, in any
  // order, unless `serial`: then by one, i never decreasing.
  std::function<Batch(int64_t)> sample = {};
  bool serial = false;
  // The class of sample i without reading it; empty if there are no labels or they are not known beforehand.
  std::function<int64_t(int64_t)> label = {};
  // {"source": ..., and whatever identifies the content cheaply: files, bytes, newest}
  nlohmann::json provenance = {};

  // What `saddle pack` says of it.
  std::string importer = {}, why = {};  // who took it, and what for
  LeftOut left_out = {};                // files that are no part of a sample
  std::vector<std::string> notes = {};  // sentences: what was made equal, what is missing
};

// Why an importer takes a source ("it holds dataset.json"); none: it does not.
using Why = std::optional<std::string>;

struct Importer {
  const char* name;
  const char* takes;  // for the help and for errors
  // Flags of its own that it heeds, by name without dashes: "size channels filter". Others, if given, are
  // refused.
  const char* flags;
  // By names and first bytes. What is named as its own it takes even if it cannot be read, so that no other
  // importer makes something else of it.
  Why (*accepts)(const PackRequest&);
  Source (*open)(const PackRequest&);
};

// Every importer, in the order in which they are asked.
const std::vector<const Importer*>& importers();

Field image_field(const std::string& name, int64_t channels, ImageSize size, int64_t bits = 8);
Field label_field(int64_t classes, const std::vector<std::string>& names);

}  // namespace saddle
