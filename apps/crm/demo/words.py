"""The words demo data is made of: companies, people, and what a specialist writes down."""


def _many(names: str) -> list[str]:
    return names.split()


FIRST_WORDS = _many(
    "Alder Amber Anchor Arbor Aspen Basalt Beacon Birch Bluefin Bramble Brightwater Cairn Canopy Cedar Cinder "
    "Clearview Cobalt Copper Coral Crescent Delta Driftwood Elm Ember Estuary Fathom Fern Fieldstone Flint "
    "Foxglove Garnet Glacier Granite Greenway Harbor Hazel Heron Highland Indigo Ironwood Juniper Keystone "
    "Lakeshore Lantern Larch Linden Lodestar Maple Marble Meridian Mosaic Northlight Oakfield Orchard Osprey "
    "Paperbark Pebble Pinecrest Quarry Quill Redwood Ridgeline Rowan Saffron Sandpiper Sequoia Silverline "
    "Slate Solstice Starling Stonebridge Sunfield Tamarack Tidewater Timber Torchlight Umber Upland Vale "
    "Verdant Waypoint Westerly Wildflower Willow Windrose Yarrow Zephyr"
)
SECOND_WORDS = _many(
    "Analytics Apps Bank Care Cloud Commerce Data Dental Education Energy Events Finance Fitness Foods Freight "
    "Games Health Homes Hotels Insurance Jobs Labs Learning Legal Logistics Maps Market Media Mobility Music "
    "Networks Payments Pharmacy Photos Print Retail Robotics Security Software Sports Studio Systems Travel "
    "Tutors Ventures Video Works"
)
PLACES = _many(
    "Austin Bergen Berlin Bogota Boston Brno Cape Chicago Cork Dakar Denver Dublin Fukuoka Geneva Ghent Hanoi "
    "Helsinki Jakarta Kyoto Lagos Leeds Lima Lisbon London Lyon Madrid Malmo Melbourne Mexico Montreal Munich "
    "Nairobi Nordic Oslo Pacific Paris Porto Prague Pune Quito Riga Seoul Sofia Tallinn Taipei Torino Toronto "
    "Utrecht Valencia Vienna Warsaw Zagreb"
)

GIVEN_NAMES = _many(
    "Aisha Alejandro Amara Ana Anders Andrea Arjun Bastian Beatriz Camille Carlos Chen Chiara Daniel David Deepa "
    "Elena Emeka Emily Erik Fatima Felix Gabriel Grace Hana Hiroshi Ines Ingrid Isaac Ivan Jamal Jana Jonas "
    "Julia Kamala Karim Katarina Kofi Laura Leila Lena Liam Lin Lucas Maja Marco Maria Mateo Maya Mei Mohammed "
    "Naomi Nikhil Nina Noor Oliver Olu Omar Paula Pedro Priya Rafael Ravi Rosa Samir Sara Sofia Stefan Tariq "
    "Thomas Tomasz Valentina Viktor Wei Yara Yuki Zoe"
)
FAMILY_NAMES = _many(
    "Adeyemi Ahmed Almeida Andersson Bauer Becker Bianchi Brandt Chowdhury Costa Diaz Dubois Eriksen Fernandez "
    "Fischer Garcia Gupta Haddad Hansen Horvat Ibrahim Ito Jansen Jensen Kaplan Kim Kowalski Kumar Larsen Lee "
    "Lindgren Lopez Martin Mbeki Mendes Meyer Moreau Mori Murphy Nguyen Novak Okafor Oliveira Park Patel Pereira "
    "Petrov Popescu Rahman Reyes Rossi Sato Schmidt Sharma Silva Singh Suzuki Tanaka Torres Vargas Virtanen "
    "Walker Wang Weber Wilson Yilmaz Zhang"
)
ROLES = (
    "Founder",
    "CTO",
    "Head of product",
    "Product manager",
    "Engineering lead",
    "Data analyst",
    "Growth lead",
)

LABELS = (
    "EU cloud",
    "Mobile SDK",
    "Server SDK only",
    "Session replay",
    "Feature flags",
    "Data warehouse",
    "Billing limit set",
    "Needs identify fix",
    "Migration",
    "Refund given",
)
LEGACY_LABELS = ("Onboarding - engaged", "legacy: 3. Onboarded")

FINDINGS = (
    "Autocapture sends about {n}% of their events and nobody looks at them",
    "identify is called on every page view, so most person profiles are made twice",
    "Group analytics is on, but no event carries a group",
    "Session replay records every visit; sampling at {n}% would be enough for their team",
    "Feature flags are polled from the server every few seconds instead of evaluated locally",
    "Staging and production share one project, which adds about {n}% to the bill",
    "The mobile SDK flushes after each event; batches would do",
    "No billing limit is set, and the forecast grew by {n}% this month",
    "Anonymous events are sent with profiles although only signed-in users matter to them",
    "A health check hits the tracked landing page and makes {n}% of all page views",
)
WISHES = (
    "They want to know where trial users drop out before the first invite",
    "Their goal for the quarter is week-four retention of new teams",
    "They would like one dashboard for the board meeting: sign-ups, activation, paid teams",
    "They plan to move their experiments over from a tool of their own",
    "They ask which events they can drop without losing the funnel",
    "They want the product data beside Stripe's in the warehouse",
)
NEXT_STEPS = (
    "They change the SDK configuration this week; we look at the volume after it.",
    "Sent the links to the docs and a short recording of the steps.",
    "They talk to their engineers and write back.",
    "Billing adjusts the last invoice for the misconfiguration.",
    "We meet again once they have shared their KPIs.",
)
RISKS = (
    "The card failed twice and nobody answers.",
    "They did not expect the usage and ask for a refund of the whole bill.",
    "Funding round is late; they asked to pay at the end of next month.",
    "They set the billing limit too late and dispute the overage.",
)
LEAVING = (
    "They shut the product down.",
    "They went back to a tool their new parent company pays for.",
    "They stay on the free tier after the volume was cut.",
)
HANDOFFS = (
    "They plan for three teams and want an annual contract; talk to {contact} about volume pricing.",
    "Forecast passes 2,000 next month; security review and invoice billing asked for.",
    "{contact} asks for a contract with a data processing agreement before they roll it out.",
)
REENTRIES = (
    "They start over with the mobile app and asked for help with the setup.",
    "New product lead; they asked for a fresh look at the configuration.",
)
EXTENSIONS = ("Their release is in two weeks; the call comes after it.", "Engineering lead is on leave.")

# By the stage an account stands at: what somebody has noted to do next.
TASKS = {
    "new": ("Audit the account before the outreach", "Find out who looks after billing there"),
    "initiated": (
        "Follow up on the outreach",
        "Check event volume after the outreach",
        "Try the second contact",
    ),
    "engaged_email": (
        "Answer the question on identify",
        "Send the event volume breakdown",
        "Offer the intro call",
        "Ask Billing about the refund",
    ),
    "call_booked": ("Prepare the intro call: bill, SDKs, event volume", "Read their docs before the call"),
    "intro_call_completed": (
        "Send the summary and the links",
        "Check whether autocapture was cut",
        "Ask for goals and KPIs for the second call",
    ),
    "second_call_completed": ("Send the homework", "Share the retention dashboard template"),
    "homework_offered": ("Ask how the homework went", "Look at the funnel they built"),
    "awaiting_final_outreach": ("Check usage and configuration once more",),
    "onboarded_no_engagement": ("Look at the next bill",),
    "onboarded_engaged": ("Look at the next bill", "Ask for product feedback"),
    "sales_handoff": ("Introduce the account executive by e-mail",),
    "paid_call_purchased": ("Prepare the paid call", "Prioritise, and credit the price back"),
}
DONE_TASKS = (
    "Audit the account before the outreach",
    "Send the billing limit guide",
    "Check the first forecast",
    "Link the docs on sampling replay",
)
HAND_PICKED = (
    "A startup we want to work with: small team, growing fast",
    "A payer of many years who needs help with billing",
    "Their whole stack moves over this quarter; setup help agreed",
)

# What customers wrote beside their score
THANKS = ("", "", "The call saved us a week.", "Clear and quick answers.", "Our events are in order now.")
COMPLAINTS = ("", "We still do not know why the bill doubled.", "The answers came late, and were general.")
# What a colleague is asked in a note, after their name.
ASKED = (
    "you met them last spring, do you remember whom to write to?",
    "could you take their second call? I am away that week.",
    "their events look doubled, have you seen this before?",
    "they ask about a yearly plan, would you join?",
    "have a look at their last bill, please.",
)
