//! What the demo shop sells, who buys there and what they say.

/// What a product can be chosen by.
#[derive(Clone, Copy)]
pub enum Choice {
    None,
    Size,
    Colour,
}

/// A product.
pub struct Item {
    pub title: &'static str,
    pub description: &'static str,
    pub sku: &'static str,
    /// The price, in hundredths of the currency.
    pub cents: i64,
    pub material: &'static str,
    pub choice: Choice,
}

/// A category with products.
pub struct Shelf {
    pub name: &'static str,
    pub items: &'static [Item],
}

/// A category with categories.
pub struct Group {
    pub name: &'static str,
    pub shelves: &'static [Shelf],
}

const fn item(
    title: &'static str,
    description: &'static str,
    sku: &'static str,
    cents: i64,
    material: &'static str,
    choice: Choice,
) -> Item {
    Item { title, description, sku, cents, material, choice }
}

/// The demo customers' password.
pub const PASSWORD: &str = "violet-Harbour-27";

/// First name, last name, e-mail address.
pub const CUSTOMERS: &[(&str, &str, &str)] = &[
    ("Mia", "Berger", "mia@example.com"),
    ("Noah", "Keller", "noah@example.com"),
    ("Lena", "Hoffmann", "lena@example.com"),
    ("Elias", "Vogt", "elias@example.com"),
    ("Clara", "Winter", "clara@example.com"),
    ("Jonas", "Arnold", "jonas@example.com"),
    ("Ida", "Sommer", "ida@example.com"),
    ("Theo", "Lindner", "theo@example.com"),
];

/// Stars, headline, text.
pub const REVIEWS: &[(i64, &str, &str)] = &[
    (5, "Just right", "Does what it should and looks good doing it."),
    (4, "Good", "Well made. Delivery took a day longer than promised."),
    (5, "Bought a second one", "The first is still as new after a year."),
    (3, "It is all right", "Nicely made, but smaller than I had thought."),
    (4, "A fine present", "My sister uses hers every day."),
    (2, "Not for me", "The colour is darker than in the picture."),
    (5, "Sturdy", "Fell twice, still in one piece."),
];

/// The catalogue.
pub const GROUPS: &[Group] = &[
    Group {
        name: "Kitchen",
        shelves: &[
            Shelf {
                name: "Mugs & cups",
                items: &[
                    item(
                        "Enamel mug",
                        "Holds 300 ml and survives a fall.",
                        "MUG-ENAMEL",
                        1490,
                        "enamelled steel",
                        Choice::Colour,
                    ),
                    item(
                        "Espresso cup",
                        "Thick walls keep a short coffee hot.",
                        "CUP-ESPRESSO",
                        890,
                        "stoneware",
                        Choice::Colour,
                    ),
                    item("Tea bowl", "Thrown by hand, no two alike.", "BOWL-TEA", 2200, "stoneware", Choice::None),
                    item(
                        "Travel cup",
                        "Closes tightly; fits most bicycle holders.",
                        "CUP-TRAVEL",
                        2490,
                        "steel",
                        Choice::Colour,
                    ),
                ],
            },
            Shelf {
                name: "Cookware",
                items: &[
                    item(
                        "Cast-iron pan",
                        "26 cm, seasoned with linseed oil.",
                        "PAN-IRON",
                        4900,
                        "cast iron",
                        Choice::None,
                    ),
                    item("Saucepan", "Two litres, with a lid that drains.", "POT-SAUCE", 3990, "steel", Choice::None),
                    item(
                        "Casserole",
                        "Four litres, from the hob into the oven.",
                        "POT-CASSEROLE",
                        8900,
                        "enamelled iron",
                        Choice::Colour,
                    ),
                    item(
                        "Wooden spoon set",
                        "Three spoons of one branch.",
                        "SPOON-WOOD",
                        1290,
                        "cherry wood",
                        Choice::None,
                    ),
                ],
            },
            Shelf {
                name: "Storage",
                items: &[
                    item("Bread box", "Keeps a loaf fresh for four days.", "BOX-BREAD", 5400, "ash wood", Choice::None),
                    item(
                        "Preserving jar",
                        "One litre, with ring and clip.",
                        "JAR-PRESERVE",
                        490,
                        "glass",
                        Choice::None,
                    ),
                    item("Spice rack", "Twelve tins on magnets.", "RACK-SPICE", 3450, "steel", Choice::None),
                    item(
                        "Butter dish",
                        "The lid is the other plate.",
                        "DISH-BUTTER",
                        1890,
                        "porcelain",
                        Choice::Colour,
                    ),
                ],
            },
        ],
    },
    Group {
        name: "Home",
        shelves: &[
            Shelf {
                name: "Lighting",
                items: &[
                    item(
                        "Desk lamp",
                        "Turns, tilts and remembers its brightness.",
                        "LAMP-DESK",
                        7900,
                        "aluminium",
                        Choice::Colour,
                    ),
                    item(
                        "Paper lantern",
                        "Folds flat, 50 cm across.",
                        "LANTERN-PAPER",
                        1690,
                        "rice paper",
                        Choice::None,
                    ),
                    item(
                        "Candle holder",
                        "For one candle and its drips.",
                        "HOLDER-CANDLE",
                        1190,
                        "brass",
                        Choice::None,
                    ),
                    item("Wall lamp", "Throws light up and down.", "LAMP-WALL", 6490, "steel", Choice::Colour),
                ],
            },
            Shelf {
                name: "Textiles",
                items: &[
                    item(
                        "Linen sheet",
                        "Washed twice, softer each time.",
                        "SHEET-LINEN",
                        8900,
                        "linen",
                        Choice::Colour,
                    ),
                    item(
                        "Wool blanket",
                        "130 by 190 cm, woven in Norway.",
                        "BLANKET-WOOL",
                        11900,
                        "wool",
                        Choice::Colour,
                    ),
                    item("Hand towel", "Dries quickly, lasts long.", "TOWEL-HAND", 1490, "cotton", Choice::Colour),
                    item("Cushion", "50 cm, with a cover that comes off.", "CUSHION-50", 2990, "linen", Choice::Colour),
                ],
            },
            Shelf {
                name: "Decoration",
                items: &[
                    item("Vase", "For one tall branch.", "VASE-TALL", 3200, "glass", Choice::Colour),
                    item("Picture frame", "A4, hangs both ways.", "FRAME-A4", 1790, "oak", Choice::None),
                    item("Wall clock", "Silent; one battery a year.", "CLOCK-WALL", 4500, "beech", Choice::None),
                    item("Plant pot", "With a saucer that fits.", "POT-PLANT", 1290, "terracotta", Choice::None),
                ],
            },
        ],
    },
    Group {
        name: "Office",
        shelves: &[
            Shelf {
                name: "Notebooks",
                items: &[
                    item(
                        "Pocket notebook",
                        "96 pages, dotted, lies flat.",
                        "NOTE-POCKET",
                        890,
                        "paper",
                        Choice::Colour,
                    ),
                    item("Sketchbook", "Heavy paper for ink and water.", "BOOK-SKETCH", 1690, "paper", Choice::None),
                    item(
                        "Week planner",
                        "A week on two pages, without dates.",
                        "PLANNER-WEEK",
                        1990,
                        "paper",
                        Choice::None,
                    ),
                    item("Index cards", "Two hundred, ruled.", "CARDS-INDEX", 590, "paper", Choice::None),
                ],
            },
            Shelf {
                name: "Desk",
                items: &[
                    item(
                        "Pen tray",
                        "Three compartments, one piece of wood.",
                        "TRAY-PEN",
                        2490,
                        "walnut",
                        Choice::None,
                    ),
                    item(
                        "Ballpoint pen",
                        "Takes any refill of the standard.",
                        "PEN-BALL",
                        1290,
                        "brass",
                        Choice::Colour,
                    ),
                    item("Desk mat", "80 by 40 cm, wool felt.", "MAT-DESK", 3490, "felt", Choice::Colour),
                    item("Book stand", "Holds a cookbook or a tablet.", "STAND-BOOK", 2790, "plywood", Choice::None),
                ],
            },
            Shelf {
                name: "Bags",
                items: &[
                    item("Canvas tote", "Carries twelve kilograms.", "BAG-TOTE", 1990, "cotton", Choice::Colour),
                    item(
                        "Messenger bag",
                        "Fits a 15-inch laptop and lunch.",
                        "BAG-MESSENGER",
                        8900,
                        "waxed canvas",
                        Choice::Colour,
                    ),
                    item("Laptop sleeve", "Padded on all sides.", "SLEEVE-LAPTOP", 3490, "felt", Choice::None),
                    item(
                        "Pencil case",
                        "For twenty pencils and a ruler.",
                        "CASE-PENCIL",
                        1490,
                        "leather",
                        Choice::None,
                    ),
                ],
            },
        ],
    },
    Group {
        name: "Outdoor",
        shelves: &[
            Shelf {
                name: "Camping",
                items: &[
                    item(
                        "Two-person tent",
                        "Stands in five minutes, weighs 1.9 kg.",
                        "TENT-2P",
                        24900,
                        "nylon",
                        Choice::None,
                    ),
                    item("Sleeping bag", "Good down to 2 °C.", "BAG-SLEEP", 13900, "down", Choice::Size),
                    item(
                        "Camping stove",
                        "Boils half a litre in three minutes.",
                        "STOVE-CAMP",
                        5900,
                        "steel",
                        Choice::None,
                    ),
                    item("Head torch", "200 lumens; charges by USB.", "TORCH-HEAD", 3900, "plastic", Choice::None),
                ],
            },
            Shelf {
                name: "Bottles",
                items: &[
                    item(
                        "Water bottle",
                        "Half a litre, one wall, light.",
                        "BOTTLE-HALF",
                        1990,
                        "steel",
                        Choice::Colour,
                    ),
                    item("Vacuum flask", "Hot for twelve hours.", "FLASK-1L", 3490, "steel", Choice::None),
                    item("Lunch box", "Two layers, closes with one clip.", "BOX-LUNCH", 2890, "steel", Choice::None),
                    item("Folding cup", "Folds to a disc.", "CUP-FOLD", 990, "silicone", Choice::Colour),
                ],
            },
            Shelf {
                name: "Garden",
                items: &[
                    item("Watering can", "Five litres, long spout.", "CAN-WATER", 3290, "zinc", Choice::None),
                    item(
                        "Secateurs",
                        "Cuts up to 20 mm; can be taken apart.",
                        "SHEARS-HAND",
                        4490,
                        "steel",
                        Choice::None,
                    ),
                    item("Garden gloves", "Thin enough to feel a seed.", "GLOVES-GARDEN", 1690, "cotton", Choice::Size),
                    item("Seed box", "Twelve kinds for the first year.", "BOX-SEED", 2490, "paper", Choice::None),
                ],
            },
        ],
    },
    Group {
        name: "Clothing",
        shelves: &[
            Shelf {
                name: "T-shirts",
                items: &[
                    item("Plain T-shirt", "Heavy cotton, cut straight.", "TEE-PLAIN", 2490, "cotton", Choice::Size),
                    item(
                        "Striped T-shirt",
                        "Long sleeves, Breton stripes.",
                        "TEE-STRIPE",
                        3490,
                        "cotton",
                        Choice::Size,
                    ),
                    item("Running shirt", "Dries while you run.", "TEE-RUN", 3990, "polyester", Choice::Size),
                    item("Polo shirt", "Three buttons, soft collar.", "TEE-POLO", 4490, "cotton", Choice::Size),
                ],
            },
            Shelf {
                name: "Knitwear",
                items: &[
                    item(
                        "Fisherman's jumper",
                        "Thick, warm, water runs off.",
                        "KNIT-FISHER",
                        12900,
                        "wool",
                        Choice::Size,
                    ),
                    item("Cardigan", "Fine merino, five buttons.", "KNIT-CARDIGAN", 9900, "merino", Choice::Size),
                    item("Beanie", "One size, turned up or down.", "KNIT-BEANIE", 2490, "wool", Choice::Colour),
                    item("Scarf", "180 cm, fringed.", "KNIT-SCARF", 4490, "wool", Choice::Colour),
                ],
            },
            Shelf {
                name: "Socks",
                items: &[
                    item("Hiking socks", "Padded where boots rub.", "SOCK-HIKE", 1690, "merino", Choice::Size),
                    item("Everyday socks", "Three pairs, no seams.", "SOCK-DAY", 1290, "cotton", Choice::Size),
                    item("House socks", "With soles that grip.", "SOCK-HOUSE", 1890, "wool", Choice::Size),
                    item("Knee socks", "Stay up.", "SOCK-KNEE", 1490, "cotton", Choice::Size),
                ],
            },
        ],
    },
];
