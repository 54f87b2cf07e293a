"""Icons: small drawings of everyday objects and animals, made of four to nine parts each."""

from math import cos, radians, sin

import numpy as np

from . import canvas

# An entry is "name: five palette colours" and then its parts, later parts on top. A part is
# shape, centre x, centre y, half width, half height, clockwise degrees, palette slot.
# Shapes: o ellipse, # box, ^ triangle.
DRAWINGS = """
airplane: white gray cyan red black
  ^ -.1 -.45 .3 .48 -24 1; ^ -.1 .45 .3 .48 204 1; ^ -.8 -.2 .15 .25 -25 3
  ^ -.8 .2 .15 .25 205 3; o 0 0 .95 .16 0 0; o .7 0 .13 .08 0 2
automobile: red cyan black yellow gray
  # -.08 -.22 .5 .24 0 0; # -.33 -.2 .19 .14 0 1; # .15 -.2 .19 .14 0 1; # 0 .16 .92 .22 0 0
  o -.52 .42 .23 .23 0 2; o .52 .42 .23 .23 0 2; o .82 .1 .09 .09 0 3
bird: blue cyan orange black white
  ^ -.66 .28 .2 .34 65 1; o 0 .1 .52 .32 -15 0; o .48 -.3 .26 .26 0 0; ^ .84 -.27 .11 .18 90 2
  o -.1 .06 .32 .16 -30 1; # -.02 .62 .035 .26 0 2; # .16 .62 .035 .26 0 2; o .53 -.35 .06 .06 0 3
cat: orange pink green black white
  ^ -.46 -.55 .28 .38 -15 0; ^ .46 -.55 .28 .38 15 0; o 0 .12 .72 .6 0 0; o -.29 .02 .13 .15 0 2
  o .29 .02 .13 .15 0 2; ^ 0 .3 .11 .08 180 1; # -.7 .38 .28 .025 8 4; # .7 .38 .28 .025 -8 4
deer: brown brown brown black white
  o -.15 .2 .5 .22 0 0; # .34 -.08 .1 .32 20 0; o .56 -.36 .23 .12 15 0; # -.48 .66 .06 .34 0 0
  # .2 .66 .06 .34 0 0; # .34 -.7 .04 .32 -22 1; # .6 -.7 .04 .32 22 1
  # .14 -.68 .035 .16 -70 1; # .82 -.68 .035 .16 70 1
dog: brown white orange black red
  o 0 0 .56 .62 0 0; o -.64 .0 .2 .5 15 2; o .64 .0 .2 .5 -15 2; o 0 .62 .12 .22 0 4
  o 0 .34 .34 .26 0 1; o 0 .2 .15 .1 0 3; o -.22 -.16 .09 .1 0 3; o .22 -.16 .09 .1 0 3
frog: green white green black yellow
  o -.44 -.4 .27 .27 0 0; o .44 -.4 .27 .27 0 0; o 0 .12 .9 .48 0 0; o -.44 -.42 .16 .16 0 1
  o .44 -.42 .16 .16 0 1; # 0 .24 .58 .035 0 3; o -.6 .62 .3 .1 0 2; o .6 .62 .3 .1 0 2
horse: brown black brown black white
  o -.12 .05 .54 .25 0 0; # .36 -.28 .14 .42 30 0; # .22 -.36 .06 .38 30 1
  o .7 -.5 .29 .12 35 0; # -.52 .56 .07 .4 4 0; # -.3 .56 .07 .4 -8 2; # .14 .56 .07 .4 8 2
  # .3 .56 .07 .4 -4 0; # -.72 .2 .06 .34 18 1
ship: black white red gray yellow
  # -.2 -.5 .1 .26 0 2; # .18 -.5 .1 .26 0 2; # 0 -.18 .4 .13 0 1; # 0 .08 .58 .14 0 1
  # 0 .42 .6 .22 0 0; ^ .62 .42 .34 .22 180 0; ^ -.62 .42 .34 .22 180 0
truck: blue white cyan black gray
  # -.3 -.14 .62 .5 0 0; # .6 .06 .28 .32 0 1; # .68 -.06 .15 .13 0 2; # 0 .4 .9 .07 0 4
  o -.66 .5 .2 .2 0 3; o -.16 .5 .2 .2 0 3; o .6 .5 .2 .2 0 3
apple: red brown green yellow white
  o -.24 .15 .48 .58 -8 0; o .24 .15 .48 .58 8 0; # .03 -.56 .05 .26 10 1
  o .3 -.68 .25 .11 -25 2; o -.4 -.06 .09 .17 15 4
bear: brown orange black brown white
  o -.54 -.54 .28 .28 0 0; o .54 -.54 .28 .28 0 0; o -.54 -.54 .14 .14 0 1
  o .54 -.54 .14 .14 0 1; o 0 .08 .74 .66 0 0; o 0 .34 .34 .26 0 1; o 0 .24 .15 .1 0 2
  o -.27 -.08 .08 .08 0 2; o .27 -.08 .08 .08 0 2
bee: yellow black white orange white
  o -.2 -.45 .19 .38 -28 2; o .2 -.45 .19 .38 24 2; ^ -.76 .2 .11 .16 -90 1
  o 0 .2 .66 .36 0 0; # -.32 .2 .07 .28 0 1; # -.06 .2 .07 .34 0 1; # .2 .2 .07 .32 0 1
  o .6 .12 .23 .23 0 1
bicycle: red black white black gray
  o -.54 .32 .42 .42 0 1; o -.54 .32 .31 .31 0 2; o .54 .32 .42 .42 0 1; o .54 .32 .31 .31 0 2
  # -.38 .0 .045 .36 28 0; # .08 -.28 .3 .045 0 0; # .44 -.04 .045 .4 -16 0
  # -.22 -.42 .19 .06 0 3; # .28 -.5 .2 .05 0 3
bottle: green red white black cyan
  # 0 .38 .34 .54 0 0; o 0 -.16 .34 .24 0 0; # 0 -.5 .12 .34 0 0; # 0 -.86 .16 .09 0 1
  # 0 .38 .34 .2 0 2
bridge: red gray black orange brown
  # .25 -.36 .44 .035 -54 1; # -.25 -.36 .44 .035 54 1; # .74 -.36 .42 .035 57 1
  # -.74 -.36 .42 .035 -57 1; # .5 .05 .09 .8 0 0; # -.5 .05 .09 .8 0 0; # 0 .14 .98 .11 0 2
bus: yellow cyan black red white
  # 0 -.03 .96 .5 0 0; # -.66 -.18 .19 .18 0 1; # -.2 -.18 .19 .18 0 1; # .26 -.18 .19 .18 0 1
  # .74 .02 .14 .36 0 1; # -.2 .2 .65 .06 0 3; o -.54 .5 .2 .2 0 2; o .46 .5 .2 .2 0 2
butterfly: orange yellow black blue white
  o -.5 -.32 .44 .36 35 0; o .5 -.32 .44 .36 -35 0; o -.4 .42 .34 .28 -35 3
  o .4 .42 .34 .28 35 3; o -.54 -.34 .18 .15 0 1; o .54 -.34 .18 .15 0 1; o 0 .06 .09 .56 0 2
  # -.16 -.68 .025 .24 -28 2; # .16 -.68 .025 .24 28 2
castle: gray red black yellow brown
  # 0 .34 .5 .48 0 0; # -.22 -.2 .1 .12 0 0; # .22 -.2 .1 .12 0 0; # -.66 .16 .22 .66 0 0
  # .66 .16 .22 .66 0 0; ^ -.66 -.7 .3 .26 0 1; ^ .66 -.7 .3 .26 0 1; # 0 .6 .17 .22 0 2
  o 0 .38 .17 .17 0 2
chair: brown orange black brown red
  # -.46 -.4 .08 .56 -4 0; # -.3 -.5 .1 .34 -4 1; # .0 .16 .55 .09 0 1; # -.42 .58 .07 .38 4 0
  # .44 .58 .07 .38 -4 0; # 0 .56 .4 .045 0 0
clock: brown white black red gray
  o -.5 .74 .12 .2 30 0; o .5 .74 .12 .2 -30 0; o -.46 -.76 .27 .16 -32 3; o .46 -.76 .27 .16 32 3
  o 0 0 .78 .78 0 0; o 0 0 .62 .62 0 1; # 0 -.2 .05 .26 0 2; # .18 0 .22 .05 0 2
crab: red orange black white red
  # -.64 -.04 .06 .3 -18 0; # .64 -.04 .06 .3 18 0; # -.6 .5 .34 .06 -38 1
  # .6 .5 .34 .06 38 1; o 0 .18 .58 .34 0 0; o -.7 -.5 .26 .3 -20 0; o .7 -.5 .26 .3 20 0
  o -.2 -.22 .11 .14 0 2; o .2 -.22 .11 .14 0 2
cup: white brown blue black cyan
  o .5 .05 .36 .36 0 0; o .5 .05 .2 .2 0 3; # -.12 .08 .5 .5 0 0; # -.12 .2 .5 .1 0 2
  o -.12 -.4 .5 .14 0 1; o -.05 .68 .85 .12 0 2
elephant: gray pink gray white black
  o -.28 -.02 .6 .46 0 0; # -.6 .52 .14 .38 0 0; # .0 .52 .14 .38 0 0; # .8 .24 .12 .5 -10 0
  o .5 -.2 .35 .35 0 0; ^ .58 .28 .08 .24 160 3; o .2 -.2 .25 .38 0 1; o .6 -.28 .06 .06 0 4
  # -.88 .12 .04 .26 14 0
fox: orange white black brown red
  ^ -.58 -.56 .26 .4 -14 0; ^ .58 -.56 .26 .4 14 0; ^ -.56 -.5 .12 .2 -14 2
  ^ .56 -.5 .12 .2 14 2; ^ 0 .2 .95 .66 180 0; o -.36 .1 .34 .14 48 1; o .36 .1 .34 .14 -48 1
  o 0 .76 .14 .12 0 2
house: yellow red brown cyan gray
  # .46 -.55 .1 .3 0 4; # 0 .38 .66 .46 0 0; ^ 0 -.42 .95 .4 0 1; # 0 .56 .15 .28 0 2
  # -.4 .26 .13 .13 0 3; # .4 .26 .13 .13 0 3
lamp: yellow brown orange white black
  o 0 .08 .16 .16 0 3; # 0 .4 .06 .46 0 1; o 0 .82 .44 .12 0 1; # 0 -.42 .3 .4 0 0
  ^ -.3 -.42 .36 .4 0 0; ^ .3 -.42 .36 .4 0 0; # 0 -.1 .6 .06 0 2
lion: orange brown black white yellow
  # 0 0 .7 .7 0 1; # 0 0 .7 .7 45 1; o 0 .04 .6 .58 0 4; o 0 .34 .3 .2 0 3
  ^ 0 .18 .16 .12 180 2; o -.26 -.12 .09 .09 0 2; o .26 -.12 .09 .09 0 2
mushroom: red white white brown gray
  # 0 .42 .2 .46 0 1; o 0 -.2 .9 .44 0 0; # 0 .16 .6 .1 0 3; o -.46 -.2 .15 .13 0 2
  o .04 -.36 .17 .14 0 2; o .48 -.16 .14 .12 0 2
pear: green brown green white yellow
  o 0 .36 .58 .5 0 0; o 0 -.16 .32 .46 0 0; ^ 0 .0 .48 .5 0 0; # .05 -.76 .045 .2 15 1
  o .3 -.76 .24 .09 -20 2; o -.28 .3 .1 .18 20 4
rabbit: white pink black gray red
  o -.27 -.5 .16 .48 -8 0; o .27 -.5 .16 .48 8 0; o -.27 -.5 .07 .34 -8 1
  o .27 -.5 .07 .34 8 1; o 0 .4 .54 .46 0 0; o -.22 .3 .08 .1 0 2; o .22 .3 .08 .1 0 2
  ^ 0 .5 .1 .07 180 1; # 0 .68 .09 .1 0 3
rocket: white red cyan orange yellow
  ^ 0 .76 .22 .26 180 3; ^ -.34 .42 .22 .34 -8 1; ^ .34 .42 .22 .34 8 1; o 0 -.12 .3 .76 0 0
  o 0 -.26 .15 .15 0 2; ^ 0 -.74 .18 .2 0 1; ^ 0 .68 .1 .14 180 4
snail: brown yellow orange black green
  # -.72 .24 .12 .34 -14 1; o 0 .58 .88 .16 0 1; # -.92 -.2 .03 .2 -22 1; # -.7 -.2 .03 .2 14 1
  o .16 .0 .56 .56 0 0; o .14 .06 .36 .36 0 2; o .1 .08 .17 .17 0 0
snake: green yellow red black green
  o -.74 .5 .3 .1 -55 0; o -.42 .48 .32 .12 55 0; o -.08 .46 .34 .13 -55 0
  o .24 .44 .34 .14 55 0; o .5 .18 .15 .6 12 0; o .66 -.5 .27 .17 8 0; # .95 -.44 .16 .03 8 2
  o .68 -.56 .06 .06 0 3
spider: black gray red black white
  # 0 .1 .95 .035 18 1; # 0 .1 .95 .035 -18 1; # 0 .1 .95 .035 48 1; # 0 .1 .95 .035 -48 1
  o 0 .24 .38 .42 0 0; o 0 -.3 .24 .22 0 0; o -.1 -.36 .06 .06 0 2; o .1 -.36 .06 .06 0 2
table: brown orange black yellow gray
  # -.76 .32 .08 .5 0 0; # .76 .32 .08 .5 0 0; # 0 -.02 .7 .14 0 1; # 0 -.24 .98 .1 0 0
  o 0 -.02 .08 .06 0 2
tank: green green black gray brown
  # .58 -.3 .42 .06 -5 1; o -.12 -.22 .42 .26 0 1; # 0 .1 .72 .2 0 0; o 0 .45 .95 .26 0 2
  o -.58 .45 .14 .14 0 3; o -.2 .45 .14 .14 0 3; o .2 .45 .14 .14 0 3; o .58 .45 .14 .14 0 3
tractor: red cyan black yellow gray
  # .62 -.3 .05 .28 0 4; # -.3 -.42 .34 .44 0 0; # -.3 -.46 .24 .24 0 1; # .42 .12 .46 .22 0 0
  o -.38 .3 .52 .52 0 2; o -.38 .3 .24 .24 0 3; o .64 .56 .26 .26 0 2; o .64 .56 .1 .1 0 3
train: blue red black gray yellow
  # .58 -.46 .11 .26 0 2; # .58 -.7 .18 .07 0 2; o .12 -.26 .15 .2 0 4; # .2 .0 .62 .26 0 0
  # -.58 -.14 .3 .52 0 1; # -.58 -.32 .17 .16 0 4; o -.56 .5 .28 .28 0 2; o .16 .56 .2 .2 0 2
  o .62 .56 .2 .2 0 2
turtle: green brown green black yellow
  # -.46 .52 .12 .22 14 2; # .4 .52 .12 .22 -14 2; o .82 .02 .22 .18 -10 2; ^ -.82 .3 .1 .18 -100 2
  o 0 .0 .68 .46 0 1; # 0 .36 .68 .09 0 4; o 0 -.1 .26 .2 0 0; o .86 -.04 .05 .05 0 3
whale: blue white cyan black gray
  o -.84 -.36 .26 .1 40 0; o -.58 -.4 .26 .1 -50 0; # -.66 -.08 .1 .24 -24 0
  o .1 .22 .74 .44 0 0; o .22 .44 .5 .2 0 1; # .3 -.46 .035 .24 0 2; o .16 -.7 .18 .07 30 2
  o .44 -.7 .18 .07 -30 2; o .52 .1 .06 .06 0 3
wolf: gray white black black gray
  o -.62 .72 .4 .13 -25 0; o -.14 .44 .42 .48 10 0; # .1 .0 .26 .42 12 0; # .3 .54 .1 .42 -3 0
  o .14 -.42 .3 .26 -30 0; o .5 -.68 .34 .13 -48 0; ^ -.2 -.58 .15 .28 -50 0
  o .24 .1 .11 .3 -5 1; o .7 -.9 .09 .09 0 2
boat: brown white red orange yellow
  # -.02 -.1 .035 .74 0 3; ^ .36 -.16 .36 .6 -6 1; ^ -.36 -.06 .28 .46 6 2
  # 0 .68 .46 .16 0 0; ^ .46 .68 .34 .16 180 0; ^ -.46 .68 .34 .16 180 0
fish: orange yellow white black red
  ^ -.68 0 .38 .3 90 1; ^ .05 -.42 .26 .18 -20 1; ^ .0 .42 .18 .14 200 1; o .14 0 .66 .38 0 0
  # .12 0 .06 .36 0 2; o .52 -.1 .12 .12 0 2; o .54 -.1 .06 .06 0 3
key: yellow black orange gray white
  o -.56 0 .4 .4 0 0; o -.56 0 .2 .2 0 1; # .3 0 .65 .08 0 0; # .56 .2 .07 .2 0 0
  # .85 .2 .08 .24 0 0
kite: red yellow black cyan pink
  ^ 0 -.66 .5 .3 0 0; ^ 0 -.0 .5 .36 180 1; # 0 -.3 .03 .66 0 2; # .06 .62 .03 .34 -14 2
  ^ -.05 .56 .09 .12 90 3; ^ .15 .56 .09 .12 -90 3; ^ .04 .86 .09 .12 90 4; ^ .24 .86 .09 .12 -90 4
book: white black red gray blue
  # -.48 .06 .5 .56 8 2; # .48 .06 .5 .56 -8 2; # -.44 -.02 .4 .52 8 0; # .44 -.02 .4 .52 -8 0
  # 0 .02 .04 .56 0 1; # -.44 -.2 .26 .04 8 3; # .44 -.2 .26 .04 -8 3; # -.44 .1 .26 .04 8 3
  # .44 .1 .26 .04 -8 3
hat: black red gray brown white
  o 0 .44 .96 .18 0 0; # 0 -.12 .48 .5 0 0; o 0 -.6 .48 .12 0 2; # 0 .24 .48 .12 0 1
shoe: blue white black red gray
  # -.48 .06 .36 .4 -4 0; o .34 .3 .6 .3 6 0; o -.48 -.34 .36 .1 -4 2; # 0 .58 .94 .11 0 1
  # .0 .12 .05 .18 40 1; # .22 .16 .05 .16 40 1
ball: red white blue yellow orange
  o 0 0 .88 .88 0 0; o 0 0 .58 .88 0 1; o 0 0 .24 .88 0 2; o 0 -.76 .2 .11 0 3
umbrella: purple pink brown black white
  # 0 .3 .04 .6 0 2; # .14 .88 .18 .05 0 2; # .28 .76 .04 .15 0 2; # 0 -.88 .04 .1 0 2
  o 0 -.4 .66 .36 0 0; ^ 0 -.36 .98 .4 0 0; ^ 0 -.36 .5 .4 0 1; ^ 0 -.36 .2 .4 0 4
guitar: orange black brown white yellow
  # 0 -.46 .08 .46 0 2; # 0 -.88 .16 .1 0 1; o 0 .52 .5 .42 0 0; o 0 .06 .36 .32 0 0
  o 0 .24 .16 .16 0 1; # 0 .62 .22 .06 0 2
phone: black cyan white gray red
  # 0 0 .48 .92 0 0; # 0 -.06 .38 .66 0 1; o 0 .76 .1 .1 0 3; # 0 -.82 .14 .035 0 3
  # -.17 -.45 .12 .12 0 4; # .17 -.45 .12 .12 0 2; # -.17 -.1 .12 .12 0 2; # .17 -.1 .12 .12 0 4
robot: gray cyan red black yellow
  # 0 -.84 .04 .14 0 3; # -.72 .14 .11 .36 0 0; # .72 .14 .11 .36 0 0; # -.26 .76 .14 .22 0 0
  # .26 .76 .14 .22 0 0; # 0 .16 .54 .38 0 4; # 0 -.5 .4 .24 0 0; o -.18 -.5 .11 .11 0 2
  o .18 -.5 .11 .11 0 2
tree: green brown red green yellow
  # 0 .6 .14 .38 0 1; # .18 .28 .05 .22 40 1; o -.42 -.06 .42 .36 0 0; o .42 -.06 .42 .36 0 0
  o 0 -.46 .5 .44 0 3; o -.3 -.1 .08 .08 0 2; o .34 -.02 .08 .08 0 2; o .06 -.46 .08 .08 0 2
crown: yellow red blue orange white
  ^ -.54 -.1 .3 .46 -12 0; ^ 0 -.18 .3 .54 0 0; ^ .54 -.1 .3 .46 12 0; # 0 .46 .74 .22 0 0
  o -.64 -.56 .12 .12 0 1; o 0 -.74 .12 .12 0 1; o .64 -.56 .12 .12 0 1; o 0 .46 .14 .13 0 2
anchor: blue white black gray cyan
  o 0 -.76 .22 .22 0 0; o 0 -.76 .1 .1 0 1; # 0 .04 .08 .76 0 0; # 0 -.34 .42 .08 0 0
  # -.36 .62 .44 .09 30 0; # .36 .62 .44 .09 -30 0; ^ -.74 .26 .22 .24 -20 0; ^ .74 .26 .22 .24 20 0
bell: yellow orange brown red white
  o 0 -.8 .15 .15 0 2; o 0 .72 .18 .18 0 2; o 0 -.24 .46 .46 0 0; # 0 .06 .46 .4 0 0
  ^ 0 .06 .78 .44 0 0; # 0 .5 .84 .11 0 1
candle: white orange yellow brown red
  o .56 .72 .24 .2 0 3; o -.05 .76 .66 .16 0 3; # 0 .2 .21 .52 0 0; # 0 -.36 .03 .12 0 3
  o 0 -.62 .16 .28 0 1; o 0 -.54 .08 .16 0 2
"""
SHAPES = {"o": "ellipse", "#": "box", "^": "triangle"}
FIELDS = {"ellipse": canvas.ellipse, "box": canvas.box, "triangle": canvas.triangle}


def read_part(text):
    """Returns one part (kind, cx, cy, width, height, angle in radians, slot) from its text."""
    sign, cx, cy, width, height, degrees, slot = text.split()
    angle = radians(float(degrees))
    return (
        SHAPES[sign],
        float(cx),
        float(cy),
        float(width),
        float(height),
        angle,
        int(slot),
    )


def read_drawings(text):
    """Returns the parts and the palette of every drawing in `text`, as two dicts by name."""
    parts, palettes = {}, {}
    for line in text.strip().splitlines():
        if ":" in line:
            name, colours = line.split(":")
            parts[name], palettes[name] = (), tuple(colours.split())
        else:
            parts[name] += tuple(read_part(part) for part in line.split(";"))
    return parts, palettes


ICONS, PALETTES = read_drawings(DRAWINGS)
NAMED = np.array(tuple(canvas.COLOURS.values()), np.float32)
PAINTS = {
    name: np.array([canvas.COLOURS[colour] for colour in palette], np.float32)
    for name, palette in PALETTES.items()
}


def icon_palette(rng, name, palette=None, repaint=0.35):
    """Returns the five colours [5, 3] of an icon, each repainted at random with `repaint`."""
    fresh = rng.random(5) < repaint
    colours = np.array(PAINTS[name] if palette is None else palette, np.float32)
    colours[fresh] = NAMED[rng.integers(len(NAMED), size=5)[fresh]]
    varied = colours + rng.normal(0, 0.07, (5, 3)).astype(np.float32)
    if palette is not None:
        varied[~fresh] = colours[~fresh]
    return np.clip(varied, 0, 1)


def window(centre, reach):
    """Returns the slice of pixels within `reach` of `centre` along one axis."""
    first = int((centre - reach + 1) / canvas.PIXEL) - 1
    last = int((centre + reach + 1) / canvas.PIXEL) + 2
    return slice(max(first, 0), max(last, 0))


def lay_part(picture, kind, cx, cy, width, height, angle, colour):
    """Returns nothing: paints one part, touching only the window around it for speed."""
    c, s = abs(cos(angle)), abs(sin(angle))
    rows = window(cy, width * s + height * c)
    columns = window(cx, width * c + height * s)
    x, y = canvas.turn(canvas.X[:1, columns] - cx, canvas.Y[rows, :1] - cy, np.float32(angle))
    canvas.lay(picture[rows, columns], canvas.cover(FIELDS[kind](x, y, width, height)), colour)


def lay_parts(rng, picture, parts, colours, cx, cy, scale, angle, mirror):
    """Returns nothing: paints parts in place, each moved and stretched a little at random."""
    shifts = rng.normal(0, 0.03, (len(parts), 2)).tolist()
    stretches = np.exp(rng.normal(0, 0.04, (len(parts), 2))).tolist()
    cx, cy, scale, angle = float(cx), float(cy), float(scale), float(angle)
    side = -1 if mirror else 1
    c, s = scale * cos(angle), scale * sin(angle)
    for part, (dx, dy), (wider, higher) in zip(parts, shifts, stretches):
        kind, x, y, width, height, lean, slot = part
        x, y = side * (x + dx), y + dy
        lay_part(
            picture,
            kind,
            cx + x * c - y * s,
            cy + x * s + y * c,
            width * wider * scale,
            height * higher * scale,
            angle + side * lean,
            colours[slot],
        )


def draw_icon(rng, picture, name, cx, cy, scale, angle=0.0, palette=None, flip=None, repaint=0.35):
    """Returns nothing: paints the icon `name` in place, varied in colour, mirror and layout."""
    colours = icon_palette(rng, name, palette, repaint)
    mirror = rng.random() < 0.5 if flip is None else flip
    lay_parts(rng, picture, ICONS[name], colours, cx, cy, scale, angle, mirror)
