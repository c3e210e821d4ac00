// Command go-tlog judges a log that Cartulary wrote, with the verifiers of the Go project
// (golang.org/x/mod/sumdb/note and tlog), which share no line with ours.
//
//	go-tlog fsck   -dir DIR -vkey VKEY [-witness VKEY] [-every K] [-checkpoint FILE] [-old FILE] [-olds DIR]
//	go-tlog proofs
//
// fsck reads a directory in the form of C2SP tlog-tiles and checks: the signatures of the checkpoint; every entry of every
// bundle; every tile of every level, byte for byte, against tiles made anew from the entries; the root; an inclusion proof
// of every K-th entry; and, with -old, that the older checkpoint is signed and is a prefix of the newer one, which -olds
// asks of every file of a directory.
//
// proofs reads one JSON object a line from standard input, inclusion or consistency claims, and answers with one line for
// each: "ok", or what is wrong.
//
// Exit codes: 0 all is right, 1 something is not, 2 wrong use.
package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/ioutil"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8
const tileWidth = 1 << tileHeight

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: go-tlog fsck|proofs")
		os.Exit(2)
	}
	var err error
	switch os.Args[1] {
	case "fsck":
		err = runFsck(os.Args[2:])
	case "proofs":
		err = runProofs()
	default:
		fmt.Fprintln(os.Stderr, "usage: go-tlog fsck|proofs")
		os.Exit(2)
	}
	if err != nil {
		fmt.Println("FAILED:", err)
		os.Exit(1)
	}
}

// report is what fsck prints when all is right.
type report struct {
	Origin       string `json:"origin"`
	Size         int64  `json:"size"`
	Root         string `json:"root"`
	Entries      int64  `json:"entries"`
	Tiles        int    `json:"tiles"`
	Inclusions   int64  `json:"inclusions"`
	Cosignatures int    `json:"cosignatures"`
	OldSize      int64  `json:"oldSize"`
	Olds         int    `json:"olds"`
}

func runFsck(args []string) error {
	flags := flag.NewFlagSet("fsck", flag.ExitOnError)
	dir := flags.String("dir", "", "directory of the log")
	vkey := flags.String("vkey", "", "verifier key of the log")
	witness := flags.String("witness", "", "verifier key of a witness whose cosignature must be there")
	every := flags.Int64("every", 1, "check the inclusion proof of every K-th entry")
	checkpoint := flags.String("checkpoint", "", "file of the checkpoint; DIR/checkpoint by default")
	old := flags.String("old", "", "file of an older checkpoint")
	olds := flags.String("olds", "", "directory of files of older checkpoints")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *checkpoint == "" {
		*checkpoint = filepath.Join(*dir, "checkpoint")
	}
	head, cosignatures, err := openCheckpoint(*checkpoint, *vkey, *witness)
	if err != nil {
		return err
	}
	out := report{Origin: head.origin, Size: head.tree.N, Root: head.tree.Hash.String(), Cosignatures: cosignatures}

	hashes, err := hashEntries(*dir, head.tree.N)
	if err != nil {
		return err
	}
	out.Entries = head.tree.N
	root, err := tlog.TreeHash(head.tree.N, hashes)
	if err != nil {
		return err
	}
	if head.tree.N > 0 && root != head.tree.Hash {
		return fmt.Errorf("the entries lead to root %v, the checkpoint says %v", root, head.tree.Hash)
	}
	if head.tree.N == 0 && head.tree.Hash != tlog.Hash(sha256.Sum256(nil)) {
		return errors.New("an empty log has another root than the empty tree")
	}
	if out.Tiles, err = compareTiles(*dir, head.tree.N, hashes); err != nil {
		return err
	}
	if out.Inclusions, err = checkInclusions(*dir, head.tree, hashes, *every); err != nil {
		return err
	}
	if *old != "" {
		if out.OldSize, err = checkConsistency(*dir, head, *old, *vkey); err != nil {
			return err
		}
	}
	if *olds != "" {
		files, err := ioutil.ReadDir(*olds)
		if err != nil {
			return err
		}
		for _, file := range files {
			if _, err := checkConsistency(*dir, head, filepath.Join(*olds, file.Name()), *vkey); err != nil {
				return fmt.Errorf("%s: %v", file.Name(), err)
			}
			out.Olds++
		}
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// head is what a checkpoint says.
type head struct {
	origin string
	tree   tlog.Tree
}

// openCheckpoint verifies a checkpoint and reads it.
func openCheckpoint(file, vkey, witness string) (head, int, error) {
	text, err := ioutil.ReadFile(file)
	if err != nil {
		return head{}, 0, err
	}
	logVerifier, err := note.NewVerifier(vkey)
	if err != nil {
		return head{}, 0, fmt.Errorf("verifier key: %v", err)
	}
	verifiers := []note.Verifier{logVerifier}
	if witness != "" {
		verifier, err := newCosignatureVerifier(witness)
		if err != nil {
			return head{}, 0, err
		}
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open(text, note.VerifierList(verifiers...))
	if err != nil {
		return head{}, 0, fmt.Errorf("checkpoint: %v", err)
	}
	signed, cosignatures := false, 0
	for _, signature := range opened.Sigs {
		if signature.Name == logVerifier.Name() && signature.Hash == logVerifier.KeyHash() {
			signed = true
		} else {
			cosignatures++
		}
	}
	if !signed {
		return head{}, 0, errors.New("checkpoint: the log has not signed")
	}
	if witness != "" && cosignatures == 0 {
		return head{}, 0, errors.New("checkpoint: the witness has not cosigned")
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return head{}, 0, errors.New("checkpoint: not three lines")
	}
	if lines[0] != logVerifier.Name() {
		return head{}, 0, errors.New("checkpoint: the origin is not the name of the key")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return head{}, 0, errors.New("checkpoint: not a size")
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return head{}, 0, err
	}
	return head{lines[0], tlog.Tree{N: size, Hash: root}}, cosignatures, nil
}

// cosignatureVerifier verifies cosignature/v1 (C2SP tlog-cosignature), which the note package does not know.
type cosignatureVerifier struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func newCosignatureVerifier(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("witness: not a verifier key")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 33 || key[0] != 0x04 {
		return nil, errors.New("witness: not a key of type 0x04")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	hash := binary.BigEndian.Uint32(sum[:4])
	if fmt.Sprintf("%08x", hash) != parts[1] {
		return nil, errors.New("witness: the key id does not fit")
	}
	return &cosignatureVerifier{parts[0], hash, ed25519.PublicKey(key[1:])}, nil
}

func (v *cosignatureVerifier) Name() string    { return v.name }
func (v *cosignatureVerifier) KeyHash() uint32 { return v.hash }
func (v *cosignatureVerifier) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	time := binary.BigEndian.Uint64(sig[:8])
	return ed25519.Verify(v.key, append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", time)), msg...), sig[8:])
}

// storedHashes are all hashes of a tree, in the order of tlog.StoredHashIndex.
type storedHashes []tlog.Hash

func (h storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < 0 || index >= int64(len(h)) {
			return nil, fmt.Errorf("no hash %d", index)
		}
		out[i] = h[index]
	}
	return out, nil
}

// hashEntries reads all bundles and makes all hashes of the tree from the entries alone.
func hashEntries(dir string, size int64) (storedHashes, error) {
	var hashes storedHashes
	for n := int64(0); n*tileWidth < size; n++ {
		width := size - n*tileWidth
		if width > tileWidth {
			width = tileWidth
		}
		path := strings.Replace(tilePath(tlog.Tile{H: tileHeight, L: 0, N: n, W: int(width)}), "tile/0/", "tile/entries/", 1)
		bundle, err := ioutil.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return nil, err
		}
		for i := int64(0); i < width; i++ {
			if len(bundle) < 2 {
				return nil, fmt.Errorf("%s ends before entry %d", path, i)
			}
			length := int(binary.BigEndian.Uint16(bundle))
			if len(bundle) < 2+length {
				return nil, fmt.Errorf("%s ends inside entry %d", path, i)
			}
			added, err := tlog.StoredHashes(n*tileWidth+i, bundle[2:2+length], hashes)
			if err != nil {
				return nil, err
			}
			hashes = append(hashes, added...)
			bundle = bundle[2+length:]
		}
		if len(bundle) != 0 {
			return nil, fmt.Errorf("%s has bytes after its entries", path)
		}
	}
	return hashes, nil
}

// tilePath is the path of C2SP tlog-tiles: that of tlog without the height.
func tilePath(tile tlog.Tile) string {
	return strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", tile.H), "tile/", 1)
}

// treeTiles are the tiles of a tree of this size: of each level the full ones, and the partial one as it is now.
func treeTiles(size int64) []tlog.Tile {
	widest := map[tlog.Tile]int{}
	var order []tlog.Tile
	for _, tile := range tlog.NewTiles(tileHeight, 0, size) {
		place := tile
		place.W = 0
		if _, ok := widest[place]; !ok {
			order = append(order, place)
		}
		widest[place] = tile.W
	}
	for i, place := range order {
		order[i].W = widest[place]
	}
	return order
}

func compareTiles(dir string, size int64, hashes storedHashes) (int, error) {
	tiles := treeTiles(size)
	for _, tile := range tiles {
		want, err := tlog.ReadTileData(tile, hashes)
		if err != nil {
			return 0, err
		}
		got, err := ioutil.ReadFile(filepath.Join(dir, tilePath(tile)))
		if err != nil {
			return 0, err
		}
		if !bytes.Equal(got, want) {
			return 0, fmt.Errorf("%s is not what the entries give", tilePath(tile))
		}
	}
	return len(tiles), nil
}

// dirReader reads tiles from a directory, for tlog.TileHashReader, which authenticates them.
type dirReader string

func (r dirReader) Height() int                                { return tileHeight }
func (r dirReader) SaveTiles(tiles []tlog.Tile, data [][]byte) {}
func (r dirReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, tile := range tiles {
		data, err := ioutil.ReadFile(filepath.Join(string(r), tilePath(tile)))
		if err != nil {
			return nil, err
		}
		out[i] = data
	}
	return out, nil
}

// checkInclusions makes proofs out of the stored tiles, as any client of the log would, and checks them.
func checkInclusions(dir string, tree tlog.Tree, hashes storedHashes, every int64) (int64, error) {
	if every < 1 {
		return 0, nil
	}
	reader := tlog.TileHashReader(tree, dirReader(dir))
	count := int64(0)
	for index := int64(0); index < tree.N; index += every {
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		if err != nil {
			return 0, fmt.Errorf("inclusion of %d: %v", index, err)
		}
		leaf, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err != nil {
			return 0, err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf[0]); err != nil {
			return 0, fmt.Errorf("inclusion of %d: %v", index, err)
		}
		count++
	}
	return count, nil
}

func checkConsistency(dir string, now head, file, vkey string) (int64, error) {
	before, _, err := openCheckpoint(file, vkey, "")
	if err != nil {
		return 0, err
	}
	if before.tree.N > now.tree.N {
		return 0, errors.New("the older checkpoint is larger")
	}
	if before.tree.N == 0 {
		return 0, nil
	}
	proof, err := tlog.ProveTree(now.tree.N, before.tree.N, tlog.TileHashReader(now.tree, dirReader(dir)))
	if err != nil {
		return 0, err
	}
	if err := tlog.CheckTree(proof, now.tree.N, now.tree.Hash, before.tree.N, before.tree.Hash); err != nil {
		return 0, fmt.Errorf("consistency: %v", err)
	}
	return before.tree.N, nil
}

// claim is a line of input of proofs. Inclusion has leafHash, consistency has oldRoot.
type claim struct {
	Index    int64    `json:"index"`
	Size     int64    `json:"size"`
	LeafHash string   `json:"leafHash"`
	OldSize  int64    `json:"oldSize"`
	OldRoot  string   `json:"oldRoot"`
	Root     string   `json:"root"`
	Proof    []string `json:"proof"`
}

func runProofs() error {
	scanner := bufio.NewScanner(os.Stdin)
	scanner.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for scanner.Scan() {
		var c claim
		if err := json.Unmarshal(scanner.Bytes(), &c); err != nil {
			fmt.Fprintln(out, "malformed:", err)
			continue
		}
		if err := checkClaim(c); err != nil {
			fmt.Fprintln(out, "refused:", err)
			continue
		}
		fmt.Fprintln(out, "ok")
	}
	return scanner.Err()
}

func checkClaim(c claim) error {
	root, err := tlog.ParseHash(c.Root)
	if err != nil {
		return err
	}
	proof := make([]tlog.Hash, len(c.Proof))
	for i, text := range c.Proof {
		if proof[i], err = tlog.ParseHash(text); err != nil {
			return err
		}
	}
	if c.LeafHash != "" {
		leaf, err := tlog.ParseHash(c.LeafHash)
		if err != nil {
			return err
		}
		return tlog.CheckRecord(proof, c.Size, root, c.Index, leaf)
	}
	oldRoot, err := tlog.ParseHash(c.OldRoot)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, c.Size, root, c.OldSize, oldRoot)
}
