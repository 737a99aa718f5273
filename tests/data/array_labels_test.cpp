// What arrays are to a data set where their names do not tell, and what is said of those that are left out.
#include "data/pack/arrays/array_labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/check/account.h"
#include "data/pack/arrays/values.h"
#include "data/store/hdf5.h"
#include "tests/data/archive.h"
#include "tests/data/arrays.h"
#include "tests/data/folder.h"

namespace saddle {
namespace {

using hdf5::Handle;
using test::all;
using test::counted;
using test::error_of;
using test::Folder;
using test::npy;
using test::numbers;
using test::same;
using test::values;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

// An archive of arrays, by names without .npy.
struct Npz {
  explicit Npz(const test::Contents& arrays, PackRequest request = {}) : request(std::move(request)) {
    test::Contents files;
    for (const auto& [name, bytes] : arrays) files.emplace_back(name + ".npy", bytes);
    test::put_zip(folder / "a.npz", files);
    this->request.source = folder / "a.npz";
  }
  Source open() const { return open_source(request); }
  std::string schema() const { return describe(open().schema); }
  std::string error() const {
    return error_of([&] { open(); });
  }
  Folder folder;
  PackRequest request;
};

std::string pictures(int64_t count = 3) {
  return npy("|u1", fmt::format("({}, 2, 2)", count), numbers<uint8_t>(4 * count));
}

std::string wide_texts(const std::vector<std::string>& texts, bool big = false) {  // of ASCII
  std::string out;
  for (const std::string& text : texts)
    for (size_t i = 0; i < 3; ++i) {
      const char c = i < text.size() ? text[i] : '\0';
      out += big ? std::string{'\0', '\0', '\0', c} : std::string{c, '\0', '\0', '\0'};
    }
  return out;
}

TEST(ArrayLabels, MakeClassesOfTexts) {
  for (const auto& [descr, bytes] : {std::pair{"<U3", wide_texts({"cow", "ant", "cow"})},
                                     std::pair{">U3", wide_texts({"cow", "ant", "cow"}, true)},
                                     std::pair{"|S3", std::string("cowantcow")}}) {
    const Source source = Npz({{"X", pictures()}, {"y", npy(descr, "(3,)", bytes)}}).open();
    EXPECT_THAT(source.schema["label"].class_names, ElementsAre("ant", "cow")) << descr;
    EXPECT_TRUE(same(all(source, "label"), torch::tensor({1, 0, 1}))) << descr;
  }
  const Npz digits({{"X", pictures()}, {"y", npy("|S2", "(3, 1)", std::string("10\x32\0\x31\0", 6))}});
  EXPECT_THAT(digits.open().schema["label"].class_names, ElementsAre("1", "2", "10"));
  const Folder folder;
  test::put(folder / "faces.npy", pictures());
  test::put(folder / "labels.npy", npy("|S1", "(3,)", "aba"));
  EXPECT_THAT(test::open(folder / "faces.npy").schema["label"].class_names, ElementsAre("a", "b"));
}

TEST(ArrayLabels, OfTextsAreNumberedAsAFileSays) {
  const Folder folder;
  test::put(folder / "names", "cow\nbee\nant\n");
  const Source source = Npz({{"X", pictures()}, {"y", npy("|S3", "(3,)", "cowantcow")}},
                            {.source = "", .classes = folder / "names"})
                            .open();
  EXPECT_TRUE(same(all(source, "label"), torch::tensor({0, 2, 0})));
  EXPECT_THAT(source.notes, Contains("1 of 3 classes have no sample and keep their numbers: 1 bee"));
}

TEST(ArrayLabels, AreReadFromWholeFloatsAndOneHotVectors) {
  const Source floats =
      Npz({{"X", pictures()}, {"y", npy("<f4", "(3, 1)", values<float>({2, 0, 1}))}}).open();
  EXPECT_EQ(describe(floats.schema), "image uint8 [1, 2, 2], label int64 [] of 3 classes");
  EXPECT_TRUE(same(all(floats, "label"), torch::tensor({2, 0, 1})));
  EXPECT_THAT(floats.notes, ElementsAre(HasSubstr("y holds whole numbers as floats")));
  const std::vector<double> one_hot{0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0};
  for (const auto& [descr, bytes] :
       {std::pair{"<f4", values<float>(one_hot)}, std::pair{"|b1", values<int8_t>(one_hot)}}) {
    const Source source = Npz({{"X", pictures()}, {"y", npy(descr, "(3, 4)", bytes)}}).open();
    EXPECT_EQ(describe(source.schema), "image uint8 [1, 2, 2], label int64 [] of 4 classes") << descr;
    EXPECT_TRUE(same(all(source, "label"), torch::tensor({1, 0, 1}))) << descr;
    EXPECT_THAT(source.notes, ElementsAre(HasSubstr("the place of the 1 is the label"),
                                          HasSubstr("2 of 4 classes have no sample and keep their numbers: 2 "
                                                    "to 3")));
  }
}

TEST(ArrayLabels, AreNoOtherNumbers) {
  const Npz many({{"X", pictures()}, {"y", npy("<f4", "(3, 2)", values<float>({1, 1, 0, 1, 0, 0}))}});
  EXPECT_EQ(many.schema(), "image uint8 [1, 2, 2], y float32 [2]");
  EXPECT_THAT(many.open().notes, ElementsAre(HasSubstr("y holds numbers that are no classes")));
  const Npz targets({{"X", npy("<f4", "(3, 4)", numbers<float>(12))},
                     {"y", npy("<f4", "(3,)", values<float>({0.5, 1.5, 2}))}});
  EXPECT_EQ(targets.schema(), "x float32 [4], y float32 []");
  EXPECT_THAT(targets.open().notes, ElementsAre(HasSubstr("it is a field, no label")));
}

TEST(ArrayLabels, AreNotAsManyAsSamples) {
  EXPECT_THAT(
      Npz({{"X", pictures(40)}, {"y", npy("<i8", "(40,)", numbers<int64_t>(40))}}).error(),
      AllOf(HasSubstr("y.npy: holds as many classes as samples, 40"), HasSubstr("call it otherwise")));
}

TEST(ArrayLabels, NoteClassesWithoutASample) {
  const Npz gap({{"X", pictures()}, {"y", npy("<i8", "(3,)", values<int64_t>({0, 1000, 0}))}});
  EXPECT_THAT(gap.open().notes,
              ElementsAre("999 of 1001 classes have no sample and keep their numbers: 1 to 999"));
}

TEST(Arrays, SayWhatIsLeftOut) {
  const Folder out;
  Npz set({{"x_train", pictures()},
           {"y_train", npy("<i8", "(3,)", values<int64_t>({0, 1, 1}))},
           {"x_test", pictures(2)},
           {"y_test", npy("<i8", "(2,)", numbers<int64_t>(2))},
           {"names", npy("<U3", "(3,)", wide_texts({"ann", "bob", "cy"}))},
           {"things", npy("|O", "(3,)", "")},
           {"mean", npy("<f4", "(2, 2)", numbers<float>(4))},
           {"one", npy("<f4", "()", numbers<float>(1))}});
  set.request.out = out.path();
  const std::vector<AccountRow> rows = account_rows(pack(set.request).index);
  for (const char* row :
       {"x_test, y_test: of the part test, which --split test packs", "one: it is a single number",
        "names: it holds texts; call it label if they are the classes",
        "mean: its length is 2, not 3 as of x_train"})
    EXPECT_THAT(rows, Contains(Pair("left out", row)));
  EXPECT_THAT(rows, Contains(Pair("left out", HasSubstr("things: it holds Python objects"))));
}

TEST(Arrays, OfPicturesAreSomeUnderAnyNames) {
  const std::string colours = npy("|u1", "(2, 2, 2, 3)", numbers<uint8_t>(24));
  const Npz two({{"foo", colours}, {"bar", colours}});
  EXPECT_EQ(two.schema(), "foo uint8 [3, 2, 2], bar uint8 [3, 2, 2]");
  EXPECT_TRUE(same(all(two.open(), "bar"), counted({2, 2, 2, 3}).permute({0, 3, 1, 2})));
  EXPECT_THAT(two.open().notes, ElementsAre(HasSubstr("foo, bar are pictures")));
  const Npz told({{"foo", colours}, {"bar", colours}},
                 {.source = "", .given = {{"axes", "NHWC"}}, .axes = "NHWC"});
  EXPECT_EQ(told.schema(), "foo uint8 [3, 2, 2], bar uint8 [3, 2, 2]");
  const std::string floats = npy("<f4", "(2, 2, 2, 3)", numbers<float>(24));
  EXPECT_THAT(Npz({{"foo", floats}, {"bar", floats}}).error(),
              AllOf(HasSubstr("cannot tell which of foo, bar are the pictures"), HasSubstr("--axes none")));
  EXPECT_EQ(Npz({{"foo", floats}, {"bar", floats}}, {.source = "", .axes = "none"}).schema(),
            "foo float32 [2, 2, 3], bar float32 [2, 2, 3]");
}

TEST(Arrays, SayHowLittleOfTheirRangeTheyUse) {
  const auto notes = [](const std::vector<double>& all, const char* range) {
    return Npz({{"x", npy("<f4", "(1, 2, 2)", values<float>(all))}}, {.source = "", .range = range})
        .open()
        .notes;
  };
  EXPECT_THAT(notes({0, 0.25, 0.5, 1}, "0:255"),
              ElementsAre(AllOf(HasSubstr("0 to 1"), HasSubstr("less than 2 %"), HasSubstr("--range 0:1"))));
  EXPECT_THAT(notes({0, 1, 2, 3}, "0:1"),
              ElementsAre(AllOf(HasSubstr("0 to 3"), HasSubstr("black or white"))));
  EXPECT_THAT(notes({0, 0.25, 0.5, 1}, "0:1"), IsEmpty());
}

TEST(Arrays, SuggestTheRangesThatAreUsual) {
  const auto suggested = [](double low, double high) { return to_text(usual_range({low, high})); };
  EXPECT_EQ(suggested(0.000306098, 0.999868), "0:1");
  EXPECT_EQ(suggested(-0.98, 0.7), "-1:1");
  EXPECT_EQ(suggested(3, 254.9), "0:255");
  EXPECT_EQ(suggested(1, 3999), "0:4095");
  EXPECT_EQ(suggested(0, 60000), "0:65535");
  EXPECT_EQ(suggested(-1003.2, 3071.4), "-1100:3100");
  EXPECT_EQ(suggested(0.123, 7.89), "0.1:7.9");
}

TEST(Arrays, NameTheSampleThatIsNotFinite) {
  const Npz set({{"x", npy("<f4", "(3, 2)", values<float>({0, 1, 2, NAN, 4, INFINITY}))}});
  const Source source = set.open();
  EXPECT_THAT(error_of([&] { source.sample(1); }),
              HasSubstr("x.npy: sample 1: holds numbers that are not fin"));
  const Folder out;
  testing::internal::CaptureStderr();
  const std::string error =
      error_of([&] { pack({.source = set.request.source, .out = out.path(), .threads = 1}); });
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_THAT(error, AllOf(HasSubstr("2 of 3 samples are damaged"), HasSubstr("sample 1")));
  EXPECT_EQ(said.find("not finite"), said.rfind("not finite")) << said;  // once
}

// --- HDF5 ---

struct Hdf5 {
  Hdf5() : file(H5Fcreate((folder / "a.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose) {}

  void put(const std::string& name, const std::vector<hsize_t>& shape, hid_t type, const void* data) {
    const Handle space(H5Screate_simple(int(shape.size()), shape.data(), nullptr), H5Sclose);
    const Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
    H5Pset_create_intermediate_group(links, 1);
    const Handle set(H5Dcreate2(file, name.c_str(), type, space, links, H5P_DEFAULT, H5P_DEFAULT), H5Dclose);
    ASSERT_GE(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), 0);
  }
  void put_pictures(const std::string& name, hsize_t count = 3) {
    const std::string bytes = numbers<uint8_t>(int64_t(count) * 4);
    put(name, {count, 2, 2}, H5T_NATIVE_UINT8, bytes.data());
  }
  Source open() {
    file.close();
    return test::open(folder / "a.h5");
  }

  Folder folder;
  Handle file;
};

TEST(Hdf5Labels, MakeClassesOfTexts) {
  Hdf5 fixed, variable;
  const Handle three(H5Tcopy(H5T_C_S1), H5Tclose), any(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(three, 3), H5Tset_size(any, H5T_VARIABLE);
  fixed.put_pictures("images"), variable.put_pictures("images");
  fixed.put("labels", {3}, three, "cowantcow");
  const char* texts[] = {"cow", "ant", "cow"};
  variable.put("labels", {3}, any, texts);
  variable.put("captions", {3}, any, texts);
  for (Hdf5* each : {&fixed, &variable}) {
    const Source source = each->open();
    EXPECT_THAT(source.schema["label"].class_names, ElementsAre("ant", "cow"));
    EXPECT_TRUE(same(all(source, "label"), torch::tensor({1, 0, 1})));
    if (each == &variable) {
      EXPECT_THAT(source.notes, ElementsAre(HasSubstr("left out: captions: it holds texts; call it label")));
    }
  }
}

TEST(Hdf5Labels, MakeClassesOfEnumerations) {
  Hdf5 set;
  const Handle kinds(H5Tenum_create(H5T_NATIVE_INT8), H5Tclose);
  for (const auto& [name, value] : {std::pair<const char*, int8_t>{"cow", 7}, {"ant", -1}})
    H5Tenum_insert(kinds, name, &value);
  set.put_pictures("x");
  set.put("y", {3}, kinds, "\7\xff\7");
  const Source source = set.open();
  EXPECT_THAT(source.schema["label"].class_names, ElementsAre("ant", "cow"));
  EXPECT_TRUE(same(all(source, "label"), torch::tensor({1, 0, 1})));
}

TEST(Hdf5Labels, SayWhichPartAndFieldIsWhat) {
  Hdf5 set;
  set.put_pictures("train/images"), set.put_pictures("test/images", 2);
  set.put("train/extra/angle", {3}, H5T_NATIVE_UINT8, "\1\2\3");
  EXPECT_THAT(set.open().notes,
              ElementsAre("left out: test/images: of the part test, which --split test packs",
                          "train/images is the field image", "train/extra/angle is the field extra_angle"));
}

}  // namespace
}  // namespace saddle
