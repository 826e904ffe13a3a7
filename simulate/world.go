package simulate

import (
	"errors"
	"fmt"
)

// ErrWorld says that a World cannot be simulated: a route without a template,
// a page that calls a route its API does not have, and the like.
var ErrWorld = errors.New("world is not usable")

// Role is what a route is for. Behaviours are written against roles, so that
// one population can live in any World.
type Role string

// The roles that behaviours and attacks look for. An API may lack any of them;
// who needs one then goes to another API, or is left out.
const (
	RoleLogin       Role = "login"        // POST, tries a user name
	RoleRefresh     Role = "refresh"      // POST, renews a token
	RoleReset       Role = "reset"        // POST, begins to change a forgotten password; not authenticated
	RoleHealth      Role = "health"       // GET, no authentication
	RoleSummary     Role = "summary"      // GET, what an app polls
	RoleList        Role = "list"         // GET, the caller's own objects
	RoleItem        Role = "item"         // GET by id, an object that has an owner
	RoleHistory     Role = "history"      // GET, paged
	RoleDownload    Role = "download"     // GET by id, large
	RoleSubmit      Role = "submit"       // POST, the business call: transfer, checkout
	RoleVerify      Role = "verify"       // POST that checks something: penny drop, gift card
	RoleParties     Role = "parties"      // GET: payees, wishlist
	RoleAddParty    Role = "add-party"    // POST or PUT: new payee, wish
	RoleCards       Role = "cards"        // GET
	RoleCatalogue   Role = "catalogue"    // GET, paged, public
	RoleCategory    Role = "category"     // GET, public
	RoleProduct     Role = "product"      // GET by id, public
	RoleReviews     Role = "reviews"      // GET by id, public
	RoleSearch      Role = "search"       // GET, public
	RoleSuggest     Role = "suggest"      // GET, public: recommendations
	RoleBasket      Role = "basket"       // GET
	RoleBasketAdd   Role = "basket-add"   // POST
	RoleBasketDrop  Role = "basket-drop"  // DELETE by id
	RoleProfile     Role = "profile"      // GET, who the caller is
	RoleProfileEdit Role = "profile-edit" // PATCH or PUT, changes that
	RoleUpdate      Role = "update"       // PUT or PATCH by id, an object that has an owner
	RoleRemove      Role = "remove"       // DELETE by id, an object that has an owner
	RoleReport      Role = "report"       // GET over a range of dates, costly
	RoleAdminUsers  Role = "admin-users"  // GET, refused to everyone here
	RoleAdminAudit  Role = "admin-audit"  // GET, refused
	RoleAdminExport Role = "admin-export" // POST, refused
	RoleAdminGrant  Role = "admin-grant"  // PUT by id, refused
)

// LogNormal is a distribution by its median and the standard deviation of its
// logarithm. A zero Median means the quantity is absent.
type LogNormal struct{ Median, Sigma float64 }

// IDStyle is how an object id is written.
type IDStyle uint8

// The styles of object ids.
const (
	IDInt  IDStyle = iota // decimal, dense
	IDUUID                // random-looking UUID
	IDCode                // letters, a dash and digits: "SKU-004211"
	IDWord                // one of a few words: categories
)

// Objects is a space of object ids.
type Objects struct {
	Name  string
	Style IDStyle
	Base  uint64 // added to every IDInt number
	// Count is the number of public objects, chosen by popularity (Zipf). For
	// owned objects it is zero.
	Count uint64
	// PerUser is the most objects that one user owns; zero for public objects.
	PerUser uint64
	// Scatter spreads one user's numbers over the space instead of keeping
	// them adjacent.
	Scatter bool
	// Words are the values of an IDWord space.
	Words []string
}

// StatusShare is the share of calls that a well-meaning client gets Status for.
type StatusShare struct {
	Status int64
	Share  float64
}

// Route is one operation of an API.
//
// Path may hold one "{name}" placeholder, where name is an Objects of the API.
// Query may hold "{page}", "{words}", "{date}", "{today}" and "{name}", and a
// choice such as "{asc|desc}". Body, of a route that takes one, may hold these
// and "{amount}", "{number}", "{text}" and "{rest}", which fills the body up to
// the size that was drawn. Bodies are written where Config.Bodies is set.
type Route struct {
	Role    Role
	Method  string
	Path    string
	Query   string
	Body    string
	OK      int64 // status of success; zero means 200
	Errors  []StatusShare
	Request LogNormal // body bytes
	Reply   LogNormal // body bytes
	Latency LogNormal // microseconds
}

// Call is one step of a Page.
type Call struct {
	Role   Role
	Chance float64 // of being made at all; zero means always
	Pause  bool    // the person thinks before it: a form is filled in
}

// Page is a group of calls that one view of an application makes at once.
type Page struct {
	Name  string
	Calls []Call
	Auth  bool // the person logs in first
	Next  []Link
}

// Link is a way from one page to another.
type Link struct {
	Page   string
	Weight float64
}

// API is one simulated API.
type API struct {
	Name, Version, Host string
	Gateway             string // gateway type that reports its calls
	// Templates puts the path template on each event; without it the template
	// has to be learnt from paths.
	Templates bool
	// Sessions gives anonymous visitors a session identifier.
	Sessions bool
	// Cookie says that people's credentials are cookies instead of tokens.
	Cookie   bool
	TokenTTL float64 // seconds until a person's token needs a refresh
	Routes   []Route
	Objects  []Objects
	Pages    []Page // the first is where a session begins
	// Decoys are the paths of routes that nobody is told of, so that whoever
	// calls one was looking for what is not theirs.
	Decoys []string
}

// World is the set of APIs that the population uses.
type World struct{ APIs []API }

// DefaultWorld is a bank-like API whose events carry route templates, and a
// shop-like API whose events do not.
func DefaultWorld() World { return World{APIs: []API{bankAPI(), shopAPI()}} }

// OtherWorld has the same two archetypes with other names, id styles, sizes,
// latencies and habits: for measuring on traffic that no model was built from.
func OtherWorld() World { return World{APIs: []API{walletAPI(), ticketsAPI()}} }

func (w World) names() []string {
	names := make([]string, len(w.APIs))
	for i, a := range w.APIs {
		names[i] = a.Name
	}
	return names
}

// pick returns the APIs of the given names, or all of them for none.
func (w World) pick(names []string) (World, error) {
	if len(names) == 0 {
		return w, nil
	}
	var out World
	for _, n := range names {
		found := false
		for _, a := range w.APIs {
			if a.Name == n {
				out.APIs, found = append(out.APIs, a), true
			}
		}
		if !found {
			return World{}, fmt.Errorf("%w: no API %q among %v", ErrConfig, n, w.names())
		}
	}
	return out, nil
}
