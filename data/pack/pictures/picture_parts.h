// What importers of pictures are put together from: each part adds one field, or a few, to every sample.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/pack/files/files.h"
#include "data/pack/source.h"
#include "data/view/picture.h"

namespace saddle {

struct PicturePart {
  std::vector<Field> fields;
  std::function<void(int64_t, Batch&)> add;              // of sample i, as [1, shape...]; thread-safe
  std::function<int64_t(int64_t)> label = {};            // of the part that adds the field `label`
  nlohmann::json provenance = nlohmann::json::object();  // added to the source's
  LeftOut left_out = {};                                 // likewise
  std::vector<std::string> notes = {};
};

using FileSet = std::shared_ptr<const Files>;

bool holds_pictures(const std::string& path);  // a folder, or an archive with at least one
// The pictures below `path`; Exit::data if there are none.
FileSet open_pictures(const std::string& path);

// The entry of a folder or archive that is called dataset.json in whatever case, be it a file, a folder, or a
// link that leads nowhere; empty if there is none (stylegan.cpp).
std::string stylegan_table(const std::string& source);

// How every picture becomes a sample.
struct CommonFit : Fit {
  Exif exif = Exif::upright;
  int64_t most_bytes = 0;               // that a picture may take, see load.h
  int64_t turned = 0, seen = 0;         // so many are, of those that can be read
  std::vector<std::string> notes = {};  // what is made equal
  bool own_size = false;                // no other was asked for: every picture must have it
};

// What brings all pictures to one size, depth and number of channels: what is asked for, else what they have:
// their common size (Exit::usage if they differ), colour if one has it, 16 bits if all have. Exit::data with
// the first reason if none can be read.
CommonFit common_fit(const Files& files, const PackRequest& request);
Exif exif_of(const PackRequest& request);  // Exit::usage
// Exit::data unless one picture has the shape of another, whatever its size: else crops would differ.
void require_same_aspect(const Files& files, size_t i, const Files& others, size_t k, const CommonFit& fit);
// For every file of `files` the one of `others` with the same name but for its ending. Exit::data lists those
// that have none, or with `both` that are nobody's.
std::vector<size_t> partners(const Files& files, const Files& others, bool both);

// Sample i is file i, or file order[i].
PicturePart picture_part(const std::string& name, FileSet files, const CommonFit& fit,
                         std::vector<size_t> order = {});
PicturePart label_part(const Field& field, std::vector<int32_t> labels);
// The mask, attributes and so on that the request names.
std::vector<PicturePart> companions(FileSet files, const PackRequest& request, const CommonFit& fit);
std::vector<PicturePart> attribute_parts(const Files& files, const PackRequest& request);  // attributes.cpp

// Exit::data if two parts add fields of one name.
Source assemble(const Files& files, const CommonFit& fit, const std::vector<PicturePart>& parts);

}  // namespace saddle
